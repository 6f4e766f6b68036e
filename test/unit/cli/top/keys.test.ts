import { expect, test } from "bun:test";
import { KeyReader } from "../../../../src/cli/top/keys.ts";

test.each<[typed: string, keys: unknown[]]>([
  ["q", [{ character: "q" }]],
  ["\u001b[A\u001b[B\u001bOC\u001bOD", ["up", "down", "right", "left"]],
  ["\u001b[5~\u001b[6~\u001b[H\u001b[F\u001b[1~\u001b[4~", ["page-up", "page-down", "home", "end", "home", "end"]],
  // With Ctrl or Shift held.
  ["\u001b[1;5A\u001b[5;2~", ["up", "page-up"]],
  ["\r\n\u007f\b", ["enter", "enter", "backspace", "backspace"]],
  ["\u0003\u0004\u001c\u001a\u000c\u0015", ["interrupt", "interrupt", "interrupt", "suspend", "redraw", "clear"]],
  ["日é", [{ character: "日" }, { character: "é" }]],
  // Keys without a meaning, and what is no key.
  ["\u001b[15~\u001b[Z\u0001\u0007x", [{ character: "x" }]],
  ["\u001bx", ["escape", { character: "x" }]],
  ["\u001b\u001b[A", ["escape", "up"]],
])("%j is read as the keys that it is", (typed, keys) => {
  const reader = new KeyReader();
  expect(reader.read(typed)).toEqual(keys as never);
  expect(reader.waits).toBe(false);
});

test("a sequence may come in parts", () => {
  for (const cut of [1, 2, 3]) {
    const reader = new KeyReader();
    expect(reader.read("\u001b[5~".slice(0, cut))).toEqual([]);
    expect(reader.waits).toBe(true);
    expect(reader.read("\u001b[5~".slice(cut))).toEqual(["page-up"]);
  }
});

test("Escape alone is a key once nothing follows", () => {
  const reader = new KeyReader();
  expect(reader.read("\u001b")).toEqual([]);
  expect(reader.flush()).toEqual(["escape"]);
  expect(reader.waits).toBe(false);
  reader.read("\u001b[");
  expect(reader.flush()).toEqual(["escape", { character: "[" }]);
  expect(reader.flush()).toEqual([]);
});

test("a sequence without an end is not waited for", () => {
  const reader = new KeyReader();
  expect(reader.read(`\u001b[${"1".repeat(100)}`)).toContainEqual("escape");
  expect(reader.waits).toBe(false);
});
