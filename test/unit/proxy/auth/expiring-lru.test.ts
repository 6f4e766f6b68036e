import { describe, expect, test } from "bun:test";
import { ExpiringLru } from "../../../../src/proxy/auth/expiring-lru.ts";

describe("ExpiringLru", () => {
  test("gives an entry until its time and not at it", () => {
    const lru = new ExpiringLru<number>(4);
    lru.set("a", 1, 100);
    expect(lru.get("a", 99)).toBe(1);
    expect(lru.get("a", 100)).toBeUndefined();
    expect(lru.size).toBe(0);
  });

  test("forgets the entry that was used longest ago", () => {
    const lru = new ExpiringLru<number>(2);
    lru.set("a", 1, 100);
    lru.set("b", 2, 100);
    expect(lru.get("a", 0)).toBe(1);
    lru.set("c", 3, 100);
    expect(lru.get("b", 0)).toBeUndefined();
    expect(lru.get("a", 0)).toBe(1);
    expect(lru.get("c", 0)).toBe(3);
  });

  test("replaces an entry without growing", () => {
    const lru = new ExpiringLru<number>(2);
    lru.set("a", 1, 100);
    lru.set("a", 2, 200);
    expect(lru.size).toBe(1);
    expect(lru.get("a", 150)).toBe(2);
  });

  test("never holds more than its bound", () => {
    const lru = new ExpiringLru<number>(10);
    for (let index = 0; index < 1000; index += 1) lru.set(`${index}`, index, 1);
    expect(lru.size).toBe(10);
    const none = new ExpiringLru<number>(0);
    none.set("a", 1, 100);
    expect(none.size).toBe(0);
  });
});
