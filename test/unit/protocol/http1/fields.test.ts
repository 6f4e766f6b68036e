import { describe, expect, test } from "bun:test";
import { CONNECTION, CONTENT_LENGTH, HOST, VIA } from "../../../../src/protocol/http1/field-names.ts";
import { encodeFields, type Field, withValue } from "../../../../src/protocol/http1/fields.ts";

const lines = [
  { name: "Host", value: "a.example" },
  { name: "Connection", value: "Keep-Alive, X-One" },
  { name: "ACCEPT", value: "a" },
  { name: "connection", value: "close" },
];
const fields = encodeFields(lines);

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
