import { describe, expect, test } from "bun:test";

import { formatPath, formatProblem, hideUserinfo, quoteValue } from "../../../src/config/problem.ts";

test.each([
  [[], ""],
  [["listen", 0], "listen[0]"],
  [["rules", 1, "to", 0], "rules[1].to[0]"],
  [["upstreams", "exit-b", "url"], 'upstreams["exit-b"].url'],
  [["$schema"], "$schema"],
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
});

describe("quoteValue()", () => {
  test.each([
    [10, "10"],
    [true, "true"],
    [null, "null"],
    [undefined, "nothing"],
    [[1], "a list"],
    [{ a: 1 }, "a map"],
    [() => 1, "a function"],
    ['a"\n', '"a\\"\\n"'],
  ])("writes %o in few words", (value, text) => {
    expect(quoteValue(value)).toBe(text);
  });

  test("cuts a long text", () => {
    expect(quoteValue("x".repeat(1000)).length).toBeLessThan(100);
  });

  test("leaves the credentials of a URL out", () => {
    expect(quoteValue("http://u:secret@h:1")).toBe('"http://[redacted]@h:1"');
    expect(quoteValue("http://u:se@cret@h:1")).toBe('"http://[redacted]@h:1"');
  });
});

test("hideUserinfo() leaves a URL without credentials as it is", () => {
  expect(hideUserinfo("http://h:1/a@b")).toBe("http://h:1/a@b");
});
