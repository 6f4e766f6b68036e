import { describe, expect, test } from "bun:test";
import { CONNECTION, CONTENT_LENGTH, HOST, VIA } from "../../../../src/protocol/http1/field-names.ts";
import {
  encodeFields,
  type Field,
  getTokens,
  hasToken,
  MAX_LIST_ELEMENTS,
  splitList,
  withValue,
} from "../../../../src/protocol/http1/fields.ts";

const lines = [
  { name: "Host", value: "a.example" },
  { name: "Connection", value: "Keep-Alive, X-One" },
  { name: "ACCEPT", value: "a" },
  { name: "connection", value: "close" },
];
const fields = encodeFields(lines);

function connection(...values: string[]) {
  return encodeFields(values.map((value) => ({ name: "Connection", value })));
}

describe("fields", () => {
  test("are decoded as they were, in their order", () => {
    expect([...fields]).toEqual(lines);
  });

  test("give all values of a field in order, whatever the case of the name", () => {
    expect(fields.getAll(CONNECTION)).toEqual(["Keep-Alive, X-One", "close"]);
    expect(fields.getAll(VIA)).toEqual([]);
  });

  test("tell none, one and many apart", () => {
    expect(fields.getOne(VIA)).toEqual({ kind: "none" });
    expect(fields.getOne(HOST)).toEqual({ kind: "one", value: "a.example" });
    expect(fields.getOne(CONNECTION)).toEqual({ kind: "many" });
  });

  test("tell an empty value from none", () => {
    expect(encodeFields([{ name: "Host", value: "" }]).getOne(HOST)).toEqual({ kind: "one", value: "" });
  });

  test("know what is there, and by a whole name only", () => {
    expect(fields.has(HOST)).toBe(true);
    expect(fields.has(CONTENT_LENGTH)).toBe(false);
    for (const name of ["Hos", "Hosts", "Content-Lengt", "Content_Length"])
      expect(encodeFields([{ name, value: "x" }]).seen).toBe(1);
  });

  test("are selected with their order, and know what is left", () => {
    const selected = fields.select((id) => id !== CONNECTION);
    expect([...selected].map(({ name }) => name)).toEqual(["Host", "ACCEPT"]);
    expect([selected.has(CONNECTION), selected.has(HOST)]).toEqual([false, true]);
  });

  test("are without what is hidden, wherever that is asked", () => {
    const left = fields.without((1 << HOST) | (1 << VIA));
    expect([...left]).toEqual(lines.slice(1));
    expect([left.has(HOST), left.getOne(HOST).kind, left.getAll(CONNECTION).length]).toEqual([false, "none", 2]);
    expect([...left.without(1 << CONNECTION)]).toEqual([{ name: "ACCEPT", value: "a" }]);
    expect([...left.select(() => true)]).toEqual(lines.slice(1));
    expect([...withValue(left, CONNECTION, "x")]).toEqual([{ name: "Connection", value: "x" }, lines[2] as Field]);
    const target = Buffer.alloc(200);
    expect(target.toString("latin1", 0, left.fill(target, 0))).toBe(
      "Connection: Keep-Alive, X-One\r\nACCEPT: a\r\nconnection: close\r\n",
    );
  });

  test("are copied as the lines that they are", () => {
    const target = Buffer.alloc(200);
    const end = fields.select((id) => id !== HOST).fill(target, 5);
    expect(target.toString("latin1", 5, end)).toBe(
      "Connection: Keep-Alive, X-One\r\nACCEPT: a\r\nconnection: close\r\n",
    );
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
