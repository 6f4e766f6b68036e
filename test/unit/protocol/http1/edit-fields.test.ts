import { describe, expect, test } from "bun:test";
import {
  compileExchanges,
  editFields,
  type FieldEdits,
  foldName,
  MAX_GROWTH,
} from "../../../../src/protocol/http1/edit-fields.ts";
import { encodeFields } from "../../../../src/protocol/http1/fields.ts";
import { Secret } from "../../../../src/secret.ts";

interface Edits {
  set?: Record<string, string>;
  remove?: string[];
  /** By field, then by placeholder. */
  replace?: Record<string, Record<string, string>>;
}

function compile({ set = {}, remove = [], replace = {} }: Edits): FieldEdits {
  return {
    set: Object.entries(set).map(([name, value]) => ({ name, value: new Secret(value) })),
    dropped: new Set([...Object.keys(set), ...remove].map(foldName)),
    exchanged: new Map(
      Object.entries(replace).map(([name, texts]) => [
        name,
        compileExchanges(new Map(Object.entries(texts).map(([text, value]) => [text, new Secret(value)]))),
      ]),
    ),
  };
}

/** The lines after edits; undefined when they would grow too much. */
function edit(lines: readonly string[], edits: Edits): string[] | undefined {
  const fields = lines.map((line) => {
    const [name = "", ...rest] = line.split(": ");
    return { name, value: rest.join(": ") };
  });
  const edited = editFields(encodeFields(fields), compile(edits));
  return edited && Array.from(edited, ({ name, value }) => `${name}: ${value}`);
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("editFields()", () => {
  test.each<[string, string[], Edits, string[]]>([
    ["sets a field that is not there", ["a: 1"], { set: { b: "2" } }, ["a: 1", "b: 2"]],
    [
      "sets one line in place of all lines, in any case",
      ["Authorization: x", "a: 1", "AUTHORIZATION: y", "aUthorization: z"],
      { set: { authorization: "Bearer t" } },
      ["a: 1", "authorization: Bearer t"],
    ],
    ["takes _ in a name for -", ["X_Api-Key: mine", "a: 1"], { set: { "x-api-key": "k" } }, ["a: 1", "x-api-key: k"]],
    ["removes all lines of a field", ["Cookie: a", "a: 1", "cookie: b"], { remove: ["COOKIE"] }, ["a: 1"]],
    [
      "exchanges a placeholder wherever it is in the field, and nowhere else",
      ["authorization: Bearer placeholder, placeholder", "x-other: placeholder", "placeholder: placeholder"],
      { replace: { authorization: { placeholder: "key" } } },
      ["authorization: Bearer key, key", "x-other: placeholder", "placeholder: placeholder"],
    ],
    [
      "exchanges in every line of the field",
      ["x-key: placeholder", "X-Key: placeholder2"],
      { replace: { "x-key": { placeholder: "one", placeholder2: "two" } } },
      ["x-key: one", "X-Key: two"],
    ],
    [
      "does not join lines: half a placeholder in each is none",
      ["x-key: place", "x-key: holder"],
      { replace: { "x-key": { placeholder: "key" } } },
      ["x-key: place", "x-key: holder"],
    ],
    [
      "does not look again at what came in place of a placeholder",
      ["x-key: placeholder-a"],
      { replace: { "x-key": { "placeholder-a": "placeholder-b$&", "placeholder-b": "other" } } },
      ["x-key: placeholder-b$&"],
    ],
    [
      "takes the signs of a placeholder literally, and its case",
      ["x-key: (a+)+$.key", "x-key: (A+)+$.KEY"],
      { replace: { "x-key": { "(a+)+$.key": "key" } } },
      ["x-key: key", "x-key: (A+)+$.KEY"],
    ],
    [
      "looks into the base64 of Basic",
      [`Authorization: basic ${base64("git:placeholder")}`, `authorization: Basic ${base64("git:other")}`],
      { replace: { authorization: { placeholder: "key" } } },
      [`Authorization: basic ${base64("git:key")}`, `authorization: Basic ${base64("git:other")}`],
    ],
  ])("%s", (_, lines, edits, wanted) => {
    expect(edit(lines, edits)).toEqual(wanted);
  });

  test("gives the same fields when there is nothing to change", () => {
    const fields = encodeFields([{ name: "a", value: "1" }]);
    const edits = compile({ remove: ["b"], replace: { a: { placeholder: "key" } } });
    expect(editFields(fields, edits)).toBe(fields);
  });

  test("refuses to let repeated placeholders grow into megabytes, over all lines together", () => {
    const long = "k".repeat(8 + 1024);
    const replace = { "x-key": { "12345678": long } };
    const lines = (count: number) => Array.from({ length: count }, () => "x-key: 12345678");
    expect(edit(lines(MAX_GROWTH / 1024), { replace })).toHaveLength(MAX_GROWTH / 1024);
    expect(edit(lines(MAX_GROWTH / 1024 + 1), { replace })).toBeUndefined();
    expect(edit([`x-key: ${"12345678".repeat(8000)}`], { replace })).toBeUndefined();
    const basic = `authorization: Basic ${base64("12345678".repeat(8000))}`;
    expect(edit([basic], { replace: { authorization: { "12345678": long } } })).toBeUndefined();
  });
});
