import { expect, test } from "bun:test";

import { ShareTable } from "../../../../src/proxy/limit/share-table.ts";

function createTable(size: number) {
  const forgotten: string[] = [];
  const table = new ShareTable<{ name: string }>((name) => ({ name }), {
    size,
    forgotten: (key) => forgotten.push(key),
  });
  const keys = () => Array.from(table.entries(), ({ key }) => key).sort();
  return { table, forgotten, keys };
}

test("a new key pushes out the one that was used least recently", () => {
  const { table, forgotten, keys } = createTable(3);
  for (const key of ["a", "b", "c", "a", "d"]) table.use(key);
  expect(forgotten).toEqual(["b"]);
  expect(keys()).toEqual(["a", "c", "d"]);
});

test("the same key has the same value until it is pushed out", () => {
  const { table } = createTable(2);
  const first = table.use("a");
  table.use("b");
  expect(table.use("a")).toBe(first);
  table.use("c");
  table.use("d");
  expect(table.use("a")).not.toBe(first);
});

test("looking at a key does not keep it", () => {
  const { table, forgotten } = createTable(2);
  table.use("a");
  table.use("b");
  expect(table.peek("a")?.value.name).toBe("a");
  expect(table.peek("z")).toBeUndefined();
  table.use("c");
  expect(forgotten).toEqual(["a"]);
});

test("a held key is never pushed out, however many come", () => {
  const { table, keys } = createTable(4);
  const { value } = table.hold("held");
  for (let i = 0; i < 10_000; i += 1) table.use(`flood ${i}`);
  expect(table.size).toBe(4);
  expect(keys()).toContain("held");
  expect(table.use("held")).toBe(value);
});

test("a key is held as often as it was taken, and no more", () => {
  const { table } = createTable(1);
  table.hold("a");
  table.hold("a");
  expect(table.peek("a")?.holds).toBe(2);
  expect([table.release("a"), table.release("a"), table.release("a"), table.release("z")]).toEqual([
    true,
    true,
    false,
    false,
  ]);
  table.use("b");
  expect(table.peek("a")).toBeUndefined();
});

test("more keys than its size can be held, and the table shrinks when they are given back", () => {
  const { table } = createTable(2);
  const all = Array.from({ length: 100 }, (_, i) => `key ${i}`);
  for (const key of all) table.hold(key);
  expect(table.size).toBe(100);
  for (const key of all) expect(table.release(key)).toBe(true);
  expect(table.size).toBe(2);
});

test("a key that was given back is the last that is pushed out", () => {
  const { table, forgotten } = createTable(3);
  table.hold("a");
  table.use("b");
  table.use("c");
  table.release("a");
  table.use("d");
  expect(forgotten).toEqual(["b"]);
});

test("a key that nobody holds can be dropped", () => {
  const { table, forgotten, keys } = createTable(3);
  for (const key of ["a", "b", "c"]) table.use(key);
  table.hold("c");
  expect([table.drop("b"), table.drop("b"), table.drop("c")]).toEqual([true, false, false]);
  expect(keys()).toEqual(["a", "c"]);
  expect(forgotten).toEqual(["b"]);
});

test("whatever is used, held and given back, it agrees with a list that is searched", () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 8) % below;
  };
  const size = 8;
  const { table, keys } = createTable(size);
  // From the one used least recently to the last.
  let idle: string[] = [];
  const held = new Map<string, number>();
  const shrink = (room: number) => {
    while (idle.length > 0 && idle.length + held.size > room) idle.shift();
  };
  for (let step = 0; step < 20_000; step += 1) {
    const key = `${random(20)}`;
    const isKnown = held.has(key) || idle.includes(key);
    switch (random(3)) {
      case 0:
        table.use(key);
        if (!isKnown) shrink(size - 1);
        if (!held.has(key)) idle = [...idle.filter((each) => each !== key), key];
        break;
      case 1:
        table.hold(key);
        if (!isKnown) shrink(size - 1);
        idle = idle.filter((each) => each !== key);
        held.set(key, (held.get(key) ?? 0) + 1);
        break;
      default: {
        const count = held.get(key) ?? 0;
        expect(table.release(key)).toBe(count > 0);
        if (count > 1) held.set(key, count - 1);
        else if (count === 1) {
          held.delete(key);
          idle.push(key);
          shrink(size);
        }
      }
    }
    expect(keys()).toEqual([...idle, ...held.keys()].sort());
  }
});

test("what weighs more than others is pushed out after them, as long as something lighter is among the oldest", () => {
  const table = new ShareTable<{ weight: number }>(() => ({ weight: 1 }), { size: 100, weigh: ({ weight }) => weight });
  table.use("heavy").weight = 5;
  for (let number = 0; number < 10_000; number += 1) table.use(`${number}`).weight = 1 + (number % 3);
  expect(table.peek("heavy")?.value).toEqual({ weight: 5 });
  expect(table.size).toBe(100);
  // Then it is as heavy as all others, and the least recently used one goes.
  for (let number = 0; number < 200; number += 1) table.use(`later ${number}`).weight = 5;
  expect(table.peek("heavy")).toBeUndefined();
});
