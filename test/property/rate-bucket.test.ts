import { describe, expect, test } from "bun:test";
import { RateBucket, toRetrySeconds } from "../../src/proxy/limit/rate-bucket.ts";
import { createRandom } from "../support/seeded-random.ts";

/** Sums of doubles are wrong by less. */
const ROUNDING = 1e-5;

function takeAt(bucket: RateBucket, rate: { perSecond: number; burst: number }, now: number): boolean {
  if (bucket.settle(rate, now) > 0) return false;
  bucket.take();
  return true;
}

describe("a token bucket", () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`gives in no span of time more than its burst and what the rate brings (seed ${seed})`, () => {
      const random = createRandom(seed);
      const perSecond = [0.0003, 0.02, 1, 7, 50, 333, 2500][random.below(7)] ?? 1;
      const rate = { perSecond, burst: 1 + random.below(30) };
      const bucket = new RateBucket();
      const taken: number[] = [];
      let now = random.below(1_000_000);
      for (let step = 0; step < 4000; step += 1) {
        // Mostly in bursts, at times after a pause of any length.
        if (random.below(5) === 0) now += (random.below(2000) / 1000) * (1000 / perSecond);
        if (random.below(200) === 0) now += random.below(100) * (1000 / perSecond);
        if (takeAt(bucket, rate, now)) taken.push(now);
      }
      expect(taken.length).toBeGreaterThan(rate.burst);
      for (let from = 0; from < taken.length; from += 1) {
        for (let to = from; to < Math.min(taken.length, from + 300); to += 1) {
          const seconds = ((taken[to] ?? 0) - (taken[from] ?? 0)) / 1000;
          expect(to - from + 1).toBeLessThanOrEqual(rate.burst + perSecond * seconds + ROUNDING);
        }
      }
      const inAll = ((taken.at(-1) ?? 0) - (taken[0] ?? 0)) / 1000;
      expect(taken.length).toBeLessThanOrEqual(rate.burst + perSecond * inAll + ROUNDING);
    });

    test(`gives all that the rate brings to who always asks (seed ${seed})`, () => {
      const random = createRandom(seed);
      // With a burst of 1, the time that is lost until it asks again brings nothing.
      const rate = { perSecond: 1 + random.below(400), burst: 2 + random.below(20) };
      const bucket = new RateBucket();
      let count = 0;
      for (let now = 0; now <= 60_000; now += 0.5) if (takeAt(bucket, rate, now)) count += 1;
      expect(Math.abs(count - (rate.burst + rate.perSecond * 60))).toBeLessThanOrEqual(1);
    });

    test(`has a token when it said so, and none before (seed ${seed})`, () => {
      const random = createRandom(seed);
      const rate = { perSecond: (1 + random.below(1000)) / 60, burst: 1 + random.below(9) };
      const bucket = new RateBucket();
      let now = 12_345;
      for (let step = 0; step < 500; step += 1) {
        const waitMs = bucket.settle(rate, now);
        if (waitMs === 0) bucket.take();
        else {
          expect(bucket.settle(rate, now + waitMs * 0.999)).toBeGreaterThan(0);
          now += waitMs;
          expect(bucket.settle(rate, now)).toBe(0);
        }
      }
    });
  }

  test("keeps what was used when the rate changes", () => {
    const bucket = new RateBucket();
    const [small, large] = [
      { perSecond: 1, burst: 5 },
      { perSecond: 1, burst: 8 },
    ];
    for (let i = 0; i < 5; i += 1) expect(takeAt(bucket, small, 0)).toBe(true);
    expect(takeAt(bucket, small, 0)).toBe(false);
    for (let i = 0; i < 3; i += 1) expect(takeAt(bucket, large, 0)).toBe(true);
    expect(bucket.settle(large, 0)).toBe(1000);
    expect(bucket.settle({ perSecond: 10, burst: 8 }, 0)).toBe(100);
  });

  test("has used up all of a smaller bucket at most, and is as full as the rate before has made it", () => {
    const [large, small] = [
      { perSecond: 500, burst: 500 },
      { perSecond: 0.01, burst: 1 },
    ];
    const use = () => {
      const bucket = new RateBucket();
      for (let i = 0; i < 500; i += 1) expect(takeAt(bucket, large, 0)).toBe(true);
      return bucket;
    };
    expect(use().settle(small, 0)).toBeCloseTo(100_000, 6);
    // The large rate had brought back everything before it was changed.
    expect(use().settle(small, 1000)).toBe(0);
    const restored = new RateBucket();
    restored.restore(use().save(), undefined);
    expect(restored.settle(small, 0)).toBeCloseTo(100_000, 6);
  });

  test("takes back a token, and never has more than its burst", () => {
    const rate = { perSecond: 1, burst: 2 };
    const bucket = new RateBucket();
    expect([takeAt(bucket, rate, 0), takeAt(bucket, rate, 0), takeAt(bucket, rate, 0)]).toEqual([true, true, false]);
    bucket.giveBack();
    expect([takeAt(bucket, rate, 0), takeAt(bucket, rate, 0)]).toEqual([true, false]);
    for (let i = 0; i < 9; i += 1) bucket.giveBack();
    expect([takeAt(bucket, rate, 0), takeAt(bucket, rate, 0), takeAt(bucket, rate, 0)]).toEqual([true, true, false]);
  });

  test("gives only its share of the rate, and the tokens that it is given", () => {
    const rate = { perSecond: 10, burst: 10 };
    const bucket = new RateBucket();
    bucket.share = 0.5;
    let count = 0;
    for (let now = 0; now <= 10_000; now += 1) if (takeAt(bucket, rate, now)) count += 1;
    expect(count).toBe(55);
    const other = new RateBucket();
    other.fill(rate, 3, 1, 0);
    expect([1, 2, 3, 4].map(() => takeAt(other, rate, 0))).toEqual([true, true, true, false]);
    other.fill(rate, -1, 0.5, 0);
    expect([takeAt(other, rate, 399), takeAt(other, rate, 400)]).toEqual([false, true]);
    other.fill(rate, 99, 0.5, 1000);
    expect(other.tokensAt(rate, 1000)).toBe(5);
    // A part of one token would never be one.
    const small = new RateBucket();
    small.share = 0.01;
    expect(small.settle({ perSecond: 1, burst: 1 }, 0)).toBe(0);
  });

  test("does not go back with a clock that does", () => {
    const rate = { perSecond: 1, burst: 1 };
    const bucket = new RateBucket();
    expect(takeAt(bucket, rate, 5000)).toBe(true);
    expect(bucket.settle(rate, 1000)).toBe(1000);
    expect(bucket.settle(rate, 6000)).toBe(0);
  });

  test("is the same in another process, which adds only what is new", () => {
    const rate = { perSecond: 1, burst: 10 };
    const [old, next] = [new RateBucket(), new RateBucket()];
    for (let i = 0; i < 4; i += 1) takeAt(old, rate, 0);
    const first = old.save();
    next.restore(first, undefined);
    expect(next.settle(rate, 1000)).toBe(0);
    expect(next.usedAt(1000)).toBe(3);
    // Both serve for a while.
    takeAt(next, rate, 1000);
    takeAt(old, rate, 1000);
    takeAt(old, rate, 1000);
    next.restore(old.save(), first.taken);
    expect(next.usedAt(1000)).toBe(6);
  });
});

describe("Retry-After", () => {
  for (const [waitMs, seconds] of [
    [0.01, 1],
    [1000, 1],
    [1000.0000001, 1],
    [1001, 2],
    [719_999.9, 720],
    [720_000, 720],
    [1e12, 86_400],
    [Number.POSITIVE_INFINITY, 86_400],
  ] as const) {
    test(`says ${seconds} for a wait of ${waitMs} ms`, () => {
      expect(toRetrySeconds(waitMs)).toBe(seconds);
    });
  }
});
