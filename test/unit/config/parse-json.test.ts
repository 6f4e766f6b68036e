import { describe, expect, test } from "bun:test";

import { parseJson } from "../../support/at-once.ts";

describe("parseJson()", () => {
  test.each([
    "{}",
    "[]",
    ' { "a" : [ 1 , -2.5e3 , "x\\u0041\\n\\"" , true , false , null ] } ',
    '{"a":{"b":{}}}',
    '"text"',
    "0",
  ])("reads %p as JSON.parse does", (text) => {
    expect(parseJson(text)).toEqual({ ok: true, value: JSON.parse(text) as unknown });
  });

  test("passes over a byte order mark", () => {
    expect(parseJson("\ufeff{}")).toEqual({ ok: true, value: {} });
  });

  test("takes __proto__ for a name like any other", () => {
    const parsed = parseJson('{"__proto__":{"open":true}}');
    expect(parsed.ok && Object.keys(parsed.value as object)).toEqual(["__proto__"]);
    expect(parsed.ok && (parsed.value as { open?: boolean }).open).toBeUndefined();
  });

  test.each([
    ['{"a":1,\n "b": }', 2, 7, "Expected a value."],
    ['{"a":1,\n "a":2}', 2, 2, 'Found the name "a" twice.'],
    ['{\n"a" 1}', 2, 5, "Expected a colon."],
    ['{"a":1 "b":2}', 1, 8, "Expected a comma or a brace."],
    ["[1 2]", 1, 4, "Expected a comma or a bracket."],
    ["[1,]", 1, 4, "Expected a value."],
    ['{"a":1,}', 1, 8, "Expected a name in double quotes."],
    ["{a:1}", 1, 2, "Expected a name in double quotes."],
    ["{} {}", 1, 4, "Found more after the end of the value."],
    ['"abc', 1, 1, "The text has no end, or a character that has to be escaped."],
    ['"a\nb"', 1, 1, "The text has no end, or a character that has to be escaped."],
    ["01", 1, 2, "Found more after the end of the value."],
    ["// no", 1, 1, "Expected a value."],
    ["", 1, 1, "Expected a value."],
    ["\n\n", 3, 1, "Expected a value."],
  ])("says where %p goes wrong", (text, line, column, message) => {
    expect(parseJson(text)).toEqual({ ok: false, line, column, message });
  });

  test("refuses what is nested too deep", () => {
    expect(parseJson("[".repeat(100_000))).toMatchObject({ ok: false, message: "The values are nested too deep." });
  });
});
