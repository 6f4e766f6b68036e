import { describe, expect, test } from "bun:test";
import { parseAuthElements, quoteString } from "../../../../src/protocol/http1/auth-params.ts";

/** Scheme and parameters of each element. */
function read(value: string) {
  return parseAuthElements(value)?.map(({ scheme, params }) => [scheme, Object.fromEntries(params)]);
}

describe("parseAuthElements()", () => {
  test("reads several challenges of one field", () => {
    expect(read('Digest realm="a, b", qop="auth", Basic realm="c", Negotiate, NTLM TlRMTQ==, X a=1')).toEqual([
      ["digest", { realm: "a, b", qop: "auth" }],
      ["basic", { realm: "c" }],
      ["negotiate", {}],
      ["ntlm", {}],
      ["x", { a: "1" }],
    ]);
  });

  test("reads the example of RFC 9110 §11.6.1", () => {
    expect(read('Basic realm="simple", Newauth realm="apps", type=1, title="Login to \\"apps\\""')).toEqual([
      ["basic", { realm: "simple" }],
      ["newauth", { realm: "apps", type: "1", title: 'Login to "apps"' }],
    ]);
  });

  test("passes over blanks around equals signs and commas, and empty elements", () => {
    expect(read(' ,, Digest  A = b ,\t, c\t=\t"d" ,')).toEqual([["digest", { a: "b", c: "d" }]]);
    expect(read("")).toEqual([]);
    expect(read(" , ")).toEqual([]);
  });

  test("tells a token68 from a parameter", () => {
    expect(read("X abc=")).toEqual([["x", {}]]);
    expect(read("X abc=, Y d=e")).toEqual([
      ["x", {}],
      ["y", { d: "e" }],
    ]);
    expect(read("X abc=def")).toEqual([["x", { abc: "def" }]]);
  });

  test("keeps octets past ASCII in quotes, and unescapes", () => {
    expect(read('X a="\xfc", b="\\a\\\\"')).toEqual([["x", { a: "\xfc", b: "a\\" }]]);
    expect(read('X a=""')).toEqual([["x", { a: "" }]]);
  });

  test("is undefined for what is malformed", () => {
    for (const value of [
      'X a="b',
      'X a="b"c',
      "X a=b c=d",
      "X a=b, =c",
      'X a="\x00"',
      "X a=\xfc",
      '"X" a=b',
      "a=b",
      "X abc== def",
      "X a b",
      "X a b=c",
      'X "a"',
      "X a=b, A=c",
      "X\ta=b",
    ]) {
      expect([value, read(value)]).toEqual([value, undefined]);
    }
  });

  test("is bounded in length, elements and parameters", () => {
    expect(read(`X a="${"b".repeat(8186)}"`)).toHaveLength(1);
    expect(read(`X a="${"b".repeat(8187)}"`)).toBeUndefined();
    const names = (count: number) => Array.from({ length: count }, (_, index) => `p${index}=1`).join(",");
    expect(read(`X ${names(32)}`)).toHaveLength(1);
    expect(read(`X ${names(33)}`)).toBeUndefined();
    expect(read(Array<string>(16).fill("X").join(", "))).toHaveLength(16);
    expect(read(Array<string>(17).fill("X").join(", "))).toBeUndefined();
  });
});

test("quoteString() escapes quotes and backslashes", () => {
  expect(quoteString('a "b" \\')).toBe('"a \\"b\\" \\\\"');
});
