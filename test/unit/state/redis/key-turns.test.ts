import { describe, expect, test } from "bun:test";
import { KeyTurns } from "../../../../src/state/redis/key-turns.ts";

describe("whose turn it is to be exchanged", () => {
  test("those that changed come first, the others in turn", () => {
    const turns = new KeyTurns();
    for (const key of ["a", "b", "c", "d"]) turns.change(key);
    expect(turns.take(3)).toEqual(["a", "b", "c"]);
    expect(turns.changed).toBe(1);
    expect(turns.take(3)).toEqual(["d", "a", "b"]);
    turns.change("b");
    expect(turns.take(2)).toEqual(["b", "c"]);
    turns.forget("c");
    expect(turns.take(9)).toEqual(["d", "a", "b"]);
  });

  test("a flood of keys is not remembered, and known keys still change", () => {
    const turns = new KeyTurns();
    for (let key = 0; key < 65_536; key += 1) expect(turns.change(`key ${key}`)).toBe(true);
    expect(turns.change("one more")).toBe(false);
    expect(turns.size).toBe(65_536);
    expect(turns.change("key 7")).toBe(true);
    turns.forget("key 7");
    expect(turns.change("one more")).toBe(true);
  });
});
