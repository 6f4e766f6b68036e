import { describe, expect, test } from "bun:test";

import {
  canonicalisePath,
  compileRequestCondition,
  meetsRequest,
} from "../../../../src/proxy/policy/request-condition.ts";

function meets(pattern: string, path: string, denies = false): boolean {
  const condition = compileRequestCondition(undefined, [pattern], denies);
  if (condition === undefined) throw new Error("no condition");
  return meetsRequest(condition, { method: "GET", path: canonicalisePath(path) });
}

describe("canonicalisePath()", () => {
  test.each([
    ["/", "/"],
    ["*", "*"],
    ["/a/b.c", "/a/b.c"],
    ["/a?b//../c", "/a"],
    ["/%61%2D%7e%41", "/a-~A"],
    ["/a%3bb%21%2a", "/a;b!*"],
    ["/caf\u00c3\u00a9 ", "/caf%C3%A9%20"],
    ["/caf%c3%a9%20%3f%23", "/caf%C3%A9%20%3F%23"],
    ["/a/...", "/a/..."],
    ["/a/.b/..c/d.", "/a/.b/..c/d."],
    ["/100%25", "/100%25"],
  ])("gives %j one spelling: %j", (written, canonical) => {
    expect(canonicalisePath(written)).toBe(canonical);
  });

  test.each([
    "/a/../b",
    "/a/./b",
    "/a/..",
    "/.",
    "/%2e%2E/b",
    "/.%2e/b",
    "/a/..;/b",
    "/a/..;x=1/b",
    "/a/..%3b/b",
    "/a//b",
    "//",
    "/a%2fb",
    "/a%5cb",
    "/a\\b",
    "/a\\..\\b",
    "/a%00",
    "/a%0d%0a",
    "/a%7F",
    "/%c0%ae%c0%ae/b",
    "/%E0%80%AE%e0%80%ae/b",
    "/a%E0%80%AFb",
    "/%F0%80%80%AE/b",
    "/%252e%252e/b",
    "/x/%25252e%25252e/admin",
    "/a%252fb",
    "/a%",
    "/a%4",
    "/a%zz",
  ])("does not judge %j, which servers read in different ways", (written) => {
    expect(canonicalisePath(written)).toBeUndefined();
  });
});

describe("a pattern of paths", () => {
  test.each([
    ["/v1/models", "/v1/models", true],
    ["/v1/models", "/v1/models/", false],
    ["/v1/models", "/v1/modelsx", false],
    ["/v1/models", "/V1/models", false],
    ["/v1/*", "/v1/", true],
    ["/v1/*", "/v1/a/b", true],
    ["/v1/*", "/v1", false],
    ["/*/x", "/a/b/x", true],
    ["/*/x", "/a/b/y", false],
    ["*.json", "/a.json", true],
    ["/a*b*c", "/abc", true],
    ["/a*b*c", "/axbxbxc", true],
    ["/a*b*c", "/acb", false],
    ["/ab*ba", "/aba", false],
    ["/ab*ba", "/abba", true],
    ["*", "/anything", true],
    ["/a.c", "/abc", false],
    ["/v1/*", "/v1/../admin", false],
    ["/v1/*", "/v1/%2e%2e/admin", false],
    ["/v1/*", "/v1/a;b=c/d", true],
    ["/v1/a", "/v1/a;b=c", false],
    ["/*.css", "/admin;a.css", false],
    ["/v1/*", "/v1/;a/;b/c", false],
  ])("%j with %j: %p", (pattern, path, wanted) => {
    expect(meets(pattern, path)).toBe(wanted);
  });

  test.each([
    "/admin/x",
    "/ADMIN/x",
    "/%61dmin/x",
    "/x/../admin/x",
    "/x//admin",
    "/admin;x=1/x",
    "/admin%3Bx/x",
    "/;a/admin/x",
  ])("of a rule that denies /admin/* matches %j", (path) => {
    expect(meets("/admin/*", path, true)).toBe(true);
  });

  test("takes little time for a path that is made to be hard", () => {
    const pattern = `/${"a*".repeat(500)}b`;
    expect(meets(pattern, `/${"a".repeat(60_000)}`)).toBe(false);
  });
});

describe("methods", () => {
  const ask = (denies: boolean, method: string) => {
    const condition = compileRequestCondition(new Set(["POST"]), undefined, denies);
    return condition && meetsRequest(condition, { method, path: undefined });
  };

  test("are compared exactly, unless the rule denies", () => {
    expect([ask(false, "POST"), ask(false, "post"), ask(false, "GET")]).toEqual([true, false, false]);
    expect([ask(true, "POST"), ask(true, "post"), ask(true, "GET")]).toEqual([true, true, false]);
  });

  test("of what cannot be seen meet a rule that denies, and no rule that allows", () => {
    for (const denies of [true, false]) {
      const condition = compileRequestCondition(new Set(["GET"]), ["*"], denies);
      expect(condition && meetsRequest(condition, undefined)).toBe(denies);
    }
  });
});

test("a rule without methods and paths has no condition", () => {
  expect(compileRequestCondition(undefined, undefined, true)).toBeUndefined();
});
