import { describe, expect, test } from "bun:test";
import { getTokens, hasToken, MAX_LIST_ELEMENTS, splitList } from "../../../../src/protocol/http1/field-lists.ts";
import { CONNECTION, VIA } from "../../../../src/protocol/http1/field-names.ts";
import { encodeFields } from "../../../../src/protocol/http1/fields.ts";

const fields = encodeFields([
  { name: "Connection", value: "Keep-Alive, X-One" },
  { name: "connection", value: "close" },
]);

function connection(...values: string[]) {
  return encodeFields(values.map((value) => ({ name: "Connection", value })));
}

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
    expect(getTokens(fields, CONNECTION)).toEqual(["keep-alive", "x-one", "close"]);
    expect(getTokens(fields, VIA)).toEqual([]);
  });

  test("leaves out what is no token", () => {
    const value = 'close, a b, "a", a=b, keep-alive; timeout=5, é, te';
    expect(getTokens(connection(value), CONNECTION)).toEqual(["close", "te"]);
  });

  test("does not read a quoted string without an end", () => {
    expect(getTokens(connection('close, "'), CONNECTION)).toBeUndefined();
  });

  test("bounds the list over all lines", () => {
    const line = "a,".repeat(MAX_LIST_ELEMENTS / 2);
    expect(getTokens(connection(line, line), CONNECTION)).toHaveLength(MAX_LIST_ELEMENTS);
    expect(getTokens(connection(line, line, "b"), CONNECTION)).toBeUndefined();
  });
});

describe("hasToken()", () => {
  test("finds an element in any line and any case", () => {
    expect(hasToken(fields, CONNECTION, "CLOSE")).toBe(true);
    expect(hasToken(fields, CONNECTION, "x-one")).toBe(true);
    expect(hasToken(fields, CONNECTION, "x")).toBe(false);
  });

  test("does not take an element with parameters, or quoted, for the token", () => {
    expect(hasToken(connection('close;a, "close"'), CONNECTION, "close")).toBe(false);
  });
});
