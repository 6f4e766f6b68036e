import { describe, expect, test } from "bun:test";

import { describeKind, hideUserinfo, quoteName, quoteValue } from "../../../src/config/problem.ts";

describe("quoteValue()", () => {
  test.each([
    [10, "10"],
    [true, "true"],
    [null, "null"],
    [undefined, "nothing"],
    [[1], "a list"],
    [{ a: 1 }, "a map"],
    [() => 1, "a function"],
    ["", '""'],
    ["10 sec", '"10 sec"'],
    ["127.0.0.1:99999", '"127.0.0.1:99999"'],
    ["*.example.org:80,443", '"*.example.org:80,443"'],
    ["[2001:db8::1]:0", '"[2001:db8::1]:0"'],
    ["2001:db8::/129", '"2001:db8::/129"'],
    ["http://proxy.example:3128/", '"http://proxy.example:3128/"'],
    ["/etc/penstock/users", '"/etc/penstock/users"'],
    [`/etc/${"long/".repeat(20)}users`, `"/etc/${"long/".repeat(20)}users"`],
    ["bücher.example", '"bücher.example"'],
  ])("repeats %o, which cannot be a secret by its form", (value, text) => {
    expect(quoteValue(value)).toBe(text);
  });

  test.each([
    "ann:hunter2",
    "ann:hunter2@proxy.example:3128",
    "http://ann:hunter2@proxy.example:3128",
    "http://ann:hunter2",
    "http://proxy.example/hunter2",
    "//ann:hunter2@h",
    "token=hunter2",
    "hunter2\n",
    "-----BEGIN PRIVATE KEY-----\nMII",
    "hunter2\u202e",
    "x".repeat(1000),
  ])("only says that %j is a text", (value) => {
    expect(quoteValue(value)).toBe("a text");
  });
});

test("describeKind() repeats nothing", () => {
  expect(["hunter2", "", 5, true, null, undefined, [], {}].map(describeKind)).toEqual([
    "a text",
    "an empty text",
    "a number",
    "a boolean",
    "null",
    "nothing",
    "a list",
    "a map",
  ]);
});

test("quoteName() repeats names, and nothing else", () => {
  expect([quoteName("exit-b"), quoteName("ann:hunter2")]).toEqual(['"exit-b"', '"…"']);
});

test("hideUserinfo() takes user and password out of a URL, and leaves one without them as it is", () => {
  expect(hideUserinfo("http://u:secret@h:1")).toBe("http://[redacted]@h:1");
  expect(hideUserinfo("socks5h://h:1")).toBe("socks5h://h:1");
});
