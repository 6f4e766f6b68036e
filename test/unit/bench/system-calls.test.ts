import { expect, test } from "bun:test";
import { parseCallCounts } from "../../bench/system-calls.ts";

const summary = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 39.79    0.000863          25        34        13 recvfrom
 16.18    0.000351          50         7           accept4
  0.00    0.000000           0         1           rseq
------ ----------- ----------- --------- --------- ----------------
100.00    0.002169          15        42        13 total
`;

test("parseCallCounts() reads a count for each name, with errors and without", () => {
  expect(parseCallCounts(summary)).toEqual({ recvfrom: 34, accept4: 7, rseq: 1 });
});

test("parseCallCounts() finds nothing in nothing", () => {
  expect(parseCallCounts("")).toEqual({});
});
