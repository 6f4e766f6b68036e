import { describe, expect, test } from "bun:test";
import { carryDigestNonces, restoreAll, saveAll } from "../../../src/handover/carried-state.ts";
import { DigestNonces } from "../../../src/proxy/auth/digest-nonces.ts";
import type { JsonValue } from "../../../src/protocol/handover/json-value.ts";

/** What arrives of a value in another process. */
const send = (value: JsonValue): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

describe("carried Digest nonces", () => {
  test("stay good, with their age, and no count is good twice", () => {
    const old = new DigestNonces({ lifetimeMs: 1000 });
    const nonce = old.issue(50_000);
    const unused = old.issue(50_000);
    expect(old.use(nonce, 1, 50_010)).toBe(true);
    // The next process began 49 s later.
    const next = new DigestNonces({ lifetimeMs: 1000 });
    expect(carryDigestNonces(next).restore(send(carryDigestNonces(old).save()), -49_000)).toBe(true);
    expect(next.use(nonce, 1, 1020)).toBe(false);
    expect(next.use(nonce, 2, 1020)).toBe(true);
    expect(next.use(unused, 1, 1999)).toBe(true);
    expect(next.use(unused, 2, 2000)).toBe(false);
    const own = next.issue(3000);
    expect(next.use(own, 1, 3999)).toBe(true);
    // And the one after that, 2 s later.
    const last = new DigestNonces({ lifetimeMs: 1000 });
    carryDigestNonces(last).restore(send(carryDigestNonces(next).save()), -2000);
    expect(last.use(own, 1, 1999)).toBe(false);
    expect(last.use(own, 2, 1999)).toBe(true);
    expect(last.use(own, 3, 2000)).toBe(false);
  });

  test("take the counts that were used since the offer", () => {
    const old = new DigestNonces();
    const next = new DigestNonces();
    const [one, two] = [carryDigestNonces(old), carryDigestNonces(next)];
    const nonce = old.issue(0);
    old.use(nonce, 1, 0);
    two.restore(send(one.save()), 0);
    for (const count of [2, 5, 40]) old.use(nonce, count, 0);
    expect(next.use(nonce, 38, 0)).toBe(true);
    two.restore(send(one.save()), 0);
    expect([2, 5, 38, 40].map((count) => next.use(nonce, count, 0))).toEqual([false, false, false, false]);
    expect([39, 41].map((count) => next.use(nonce, count, 0))).toEqual([true, true]);
  });

  test("that another program wrote are left out", () => {
    const carried = carryDigestNonces(new DigestNonces());
    const good = { key: Buffer.alloc(32).toString("base64"), clockMs: 0, forgottenUntil: -1, used: [] };
    expect(carried.restore(good, 0)).toBe(true);
    for (const bad of [
      null,
      [],
      { ...good, key: "short" },
      { ...good, clockMs: "0" },
      { ...good, used: [["nonce", 1, 1]] },
      { ...good, used: [[1, 1, 1, 1]] },
      { ...good, forgottenUntil: null },
    ])
      expect(carried.restore(bad, 0)).toBe(false);
  });
});

describe("named state", () => {
  const part = (name: string, isGood: boolean) => ({ name, save: () => name, restore: () => isGood });

  test("is saved by name, and what is not understood or not there is told or left alone", () => {
    const carried = [part("a", true), part("b", false), part("c", true)];
    expect(saveAll(carried)).toEqual({ a: "a", b: "b", c: "c" });
    expect(restoreAll(carried, { a: 1, b: 2, later: 3 }, 0)).toEqual(["b"]);
  });
});
