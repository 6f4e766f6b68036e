import { describe, expect, test } from "bun:test";
import { DigestNonces } from "../../../../src/proxy/auth/digest-nonces.ts";

describe("DigestNonces", () => {
  test("a nonce is good for its lifetime", () => {
    const nonces = new DigestNonces({ lifetimeMs: 1000 });
    const nonce = nonces.issue(5000);
    expect(nonces.use(nonce, 1, 5000)).toBe(true);
    expect(nonces.use(nonce, 2, 5999)).toBe(true);
    expect(nonces.use(nonce, 3, 6000)).toBe(false);
    expect(nonces.use(nonces.issue(5000), 1, 6000)).toBe(false);
  });

  test("a count is good once, in any order within a window of 32", () => {
    const nonces = new DigestNonces();
    const nonce = nonces.issue(0);
    const use = (count: number) => nonces.use(nonce, count, 1);
    expect(use(0)).toBe(false);
    expect([use(3), use(1), use(2)]).toEqual([true, true, true]);
    expect([use(1), use(2), use(3)]).toEqual([false, false, false]);
    expect([use(40), use(9), use(8), use(9), use(40)]).toEqual([true, true, false, false, false]);
    expect([use(71), use(40), use(70), use(39)]).toEqual([true, false, true, false]);
    expect([use(0xffffffff), use(0xfffffffe), use(72), use(0xffffffff)]).toEqual([true, true, false, false]);
  });

  test("every count from 1 on is good once in a row", () => {
    const nonces = new DigestNonces();
    const nonce = nonces.issue(0);
    for (let count = 1; count <= 200; count += 1) {
      expect(nonces.use(nonce, count, 1)).toBe(true);
      expect(nonces.use(nonce, count, 1)).toBe(false);
    }
  });

  test("a nonce of somebody else, or in another spelling, is not good", () => {
    const nonces = new DigestNonces();
    const nonce = nonces.issue(0);
    const other = new DigestNonces().issue(0);
    const changed = (nonce.startsWith("A") ? "B" : "A") + nonce.slice(1);
    for (const text of ["", "x", other, changed, `${nonce}=`, `${nonce}A`, nonce.slice(0, -1), ` ${nonce}`]) {
      expect(nonces.use(text, 1, 0)).toBe(false);
    }
    expect(nonces.use(nonce, 1, 0)).toBe(true);
  });

  test("nonces differ at the same time", () => {
    const nonces = new DigestNonces();
    expect(new Set(Array.from({ length: 100 }, () => nonces.issue(7))).size).toBe(100);
  });

  test("what the table had to forget is never good again", () => {
    const nonces = new DigestNonces({ entries: 2 });
    const [a, b, c] = [nonces.issue(1), nonces.issue(2), nonces.issue(3)];
    const unused = nonces.issue(1);
    for (const nonce of [a, b, c]) expect(nonces.use(nonce, 1, 4)).toBe(true);
    expect(nonces.use(a, 1, 4)).toBe(false);
    expect(nonces.use(a, 2, 4)).toBe(false);
    // It cannot be told from a forgotten one of its time.
    expect(nonces.use(unused, 1, 4)).toBe(false);
    expect(nonces.use(b, 2, 4)).toBe(true);
    expect(nonces.use(nonces.issue(4), 1, 4)).toBe(true);
  });
});
