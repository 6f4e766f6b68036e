import { describe, expect, test } from "bun:test";
import {
  type Fields,
  getAll,
  getOne,
  getTokens,
  hasField,
  hasToken,
  MAX_LIST_ELEMENTS,
  splitList,
  withoutFields,
} from "../../../../src/protocol/http1/fields.ts";

const fields: Fields = [
  { name: "Host", value: "a.example" },
  { name: "Connection", value: "Keep-Alive, X-One" },
  { name: "ACCEPT", value: "a" },
  { name: "connection", value: "close" },
];

describe("getAll()", () => {
  test("gives all values in order, whatever the case of the names", () => {
    expect(getAll(fields, "connection")).toEqual(["Keep-Alive, X-One", "close"]);
    expect(getAll(fields, "accept")).toEqual(["a"]);
    expect(getAll(fields, "via")).toEqual([]);
  });
});

describe("getOne()", () => {
  test("tells none, one and many apart", () => {
    expect(getOne(fields, "via")).toEqual({ kind: "none" });
    expect(getOne(fields, "host")).toEqual({ kind: "one", value: "a.example" });
    expect(getOne(fields, "connection")).toEqual({ kind: "many" });
  });

  test("tells an empty value from none", () => {
    expect(getOne([{ name: "Host", value: "" }], "host")).toEqual({ kind: "one", value: "" });
  });
});

describe("hasField()", () => {
  test("knows a field by its name in any case, and not by a part of it", () => {
    expect(hasField(fields, "accept")).toBe(true);
    expect(hasField(fields, "accep")).toBe(false);
    expect(hasField(fields, "accepts")).toBe(false);
  });
});

describe("withoutFields()", () => {
  test("leaves out all lines of the names and keeps the order of the others", () => {
    expect(withoutFields(fields, "connection", "via").map(({ name }) => name)).toEqual(["Host", "ACCEPT"]);
  });
});

describe("splitList()", () => {
  test("splits at commas and leaves out white space and empty elements", () => {
    expect(splitList("a, b ,\tc")).toEqual(["a", "b", "c"]);
    expect(splitList(" , a,, b, ")).toEqual(["a", "b"]);
    expect(splitList("")).toEqual([]);
  });

  test("keeps a comma within a quoted string", () => {
    expect(splitList('a="b, c", d')).toEqual(['a="b, c"', "d"]);
    expect(splitList('a="\\", b", "c\\\\"')).toEqual(['a="\\", b"', '"c\\\\"']);
  });

  test("does not read a quoted string without an end", () => {
    expect(splitList('a, "b')).toBeUndefined();
    expect(splitList('"')).toBeUndefined();
    expect(splitList('"a\\"')).toBeUndefined();
    expect(splitList('"\\')).toBeUndefined();
  });

  test("does not read a list of too many elements", () => {
    expect(splitList("a,".repeat(MAX_LIST_ELEMENTS))).toHaveLength(MAX_LIST_ELEMENTS);
    expect(splitList("a,".repeat(MAX_LIST_ELEMENTS + 1))).toBeUndefined();
  });
});

describe("getTokens()", () => {
  test("reads all lines as one list in lower case", () => {
    expect(getTokens(fields, "connection")).toEqual(["keep-alive", "x-one", "close"]);
    expect(getTokens(fields, "via")).toEqual([]);
  });

  test("leaves out what is no token", () => {
    const value = 'close, a b, "a", a=b, keep-alive; timeout=5, é, te';
    expect(getTokens([{ name: "Connection", value }], "connection")).toEqual(["close", "te"]);
  });

  test("does not read a quoted string without an end", () => {
    expect(getTokens([{ name: "Connection", value: 'close, "' }], "connection")).toBeUndefined();
  });

  test("bounds the list over all lines", () => {
    const line = { name: "Connection", value: "a,".repeat(MAX_LIST_ELEMENTS / 2) };
    expect(getTokens([line, line], "connection")).toHaveLength(MAX_LIST_ELEMENTS);
    expect(getTokens([line, line, { name: "Connection", value: "b" }], "connection")).toBeUndefined();
  });
});

describe("hasToken()", () => {
  test("finds an element in any line and any case", () => {
    expect(hasToken(fields, "connection", "CLOSE")).toBe(true);
    expect(hasToken(fields, "connection", "x-one")).toBe(true);
    expect(hasToken(fields, "connection", "x")).toBe(false);
  });

  test("does not take an element with parameters, or quoted, for the token", () => {
    expect(hasToken([{ name: "Connection", value: 'close;a, "close"' }], "connection", "close")).toBe(false);
  });
});
