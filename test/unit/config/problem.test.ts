import { describe, expect, test } from "bun:test";

import { formatPath, formatProblem } from "../../../src/config/problem.ts";

test.each([
  [[], ""],
  [["listen", 0], "listen[0]"],
  [["rules", 1, "to", 0], "rules[1].to[0]"],
  [["upstreams", "exit-b", "url"], 'upstreams["exit-b"].url'],
  [["$schema"], "$schema"],
  [["users", "ann:hunter2"], 'users["…"]'],
])("formatPath(%p) writes the path as JavaScript does", (path, text) => {
  expect(formatPath(path)).toBe(text);
});

describe("formatProblem()", () => {
  test("puts the path before the message", () => {
    expect(formatProblem({ path: ["open"], message: "Found 1." })).toBe("open: Found 1.");
  });

  test("names where the value came from when that was not the file", () => {
    const problem = { path: ["listen", 0], message: "Found 1.", origin: "--listen" };
    expect(formatProblem(problem)).toBe("listen[0] (from --listen): Found 1.");
    expect(formatProblem({ ...problem, path: [] })).toBe("--listen: Found 1.");
  });

  test("begins with the place in the file, as compilers do", () => {
    const problem = { path: ["open"], message: "Found 1.", place: "/etc/proxy.config.json:2:5" };
    expect(formatProblem(problem)).toBe("/etc/proxy.config.json:2:5: open: Found 1.");
  });
});
