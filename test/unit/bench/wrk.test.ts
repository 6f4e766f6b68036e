import { expect, test } from "bun:test";
import { parseWrk } from "../../bench/wrk.ts";

const report = `Running 1s test @ http://127.0.0.1:8998/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    19.18ms   34.37ms 229.76ms   89.50%
    Req/Sec     2.79k     1.16k    3.99k    80.00%
  Latency Distribution
     50%  655.00us
     75%   14.83ms
     90%   49.93ms
     99%    1.20s
  2854 requests in 1.03s, 3.06MB read
  Socket errors: connect 1, read 2852, write 2, timeout 3
  Non-2xx or 3xx responses: 54
Requests/sec:   2762.63
Transfer/sec:      2.96MB
`;

test("parseWrk() counts answers, failures and connections that were not kept, each for itself", () => {
  expect(parseWrk(report)).toEqual({ seconds: 1.03, units: 2800, p50: 0.655, p99: 1200, failures: 60, closed: 2852 });
});

test("parseWrk() does not take a share in the statistics above, such as 89.50 %, for the median", () => {
  expect(parseWrk("    Latency     1.20ms  500.00us   89.50%\n    Req/Sec     1.00k\n     50%    2.00ms\n").p50).toBe(
    2,
  );
});

test("parseWrk() reads minutes", () => {
  expect(parseWrk("  9 requests in 1.50m, 1MB read\n")).toMatchObject({ seconds: 90, units: 9 });
});

test("parseWrk() gives zeros for a report without figures", () => {
  const zeros = { seconds: 0, units: 0, p50: 0, p99: 0, failures: 0, closed: 0 };
  expect(parseWrk("Latency -nan -nan -nan")).toEqual(zeros);
});
