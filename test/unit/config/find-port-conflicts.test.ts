import { describe, expect, test } from "bun:test";

import { checkConfig } from "../../../src/config/check.ts";
import { formatProblem } from "../../../src/config/problem.ts";

function listProblems(raw: object): string[] {
  const checked = checkConfig({ ...raw, open: true });
  return checked.ok ? [] : checked.problems.map(formatProblem);
}

describe("one port", () => {
  test.each([
    [["127.0.0.1:1", "127.0.0.1:1"]],
    [["127.0.0.1:1", 1]],
    [["127.0.0.1:1", "localhost:1"]],
    [["127.0.0.1:1", "[::ffff:127.0.0.1]:1"]],
    [["0.0.0.0:1", "127.0.0.1:1"]],
    [["192.0.2.1:1", "0.0.0.0:1"]],
    [["[::]:1", "[::1]:1"]],
    [["[::]:1", "0.0.0.0:1"]],
    [["127.0.0.1:1", "[::]:1"]],
    [["[0::0]:1", { host: "::", port: 1 }]],
  ])("cannot be bound twice: %j", (listen) => {
    expect(listProblems({ listen })).toEqual([expect.stringMatching(/^listen\[1\]: .*Give each its own/)]);
  });

  test.each([
    [["127.0.0.1:1", "127.0.0.2:1"]],
    [["127.0.0.1:1", "[::1]:1"]],
    [["0.0.0.0:1", "[::1]:1"]],
    [["127.0.0.1:0", "127.0.0.1:0"]],
    [["[::]:1", "[::]:2"]],
  ])("can be bound at addresses of its own: %j", (listen) => {
    expect(listProblems({ listen })).toEqual([]);
  });

  test("is not for a listener and the sidecar", () => {
    expect(listProblems({ listen: ["[::]:9080"], sidecar: { port: 9080 } })).toEqual([
      "sidecar.port: Cannot bind 127.0.0.1:9080 beside [::]:9080, which includes it. Give each its own port, or leave one out.",
    ]);
    expect(listProblems({ listen: ["127.0.0.1:9080"], sidecar: { port: 9080, host: "::1" } })).toEqual([]);
    expect(listProblems({ listen: ["127.0.0.1:9080"], sidecar: { unix: "s" } })).toEqual([]);
  });
});
