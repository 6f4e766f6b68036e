import { describe, expect, test } from "bun:test";
import { TokenBuckets } from "../../../../src/net/conn/token-buckets.ts";
import { makeBuckets, MEGABYTE } from "../../../support/make-buckets.ts";
import { createRandom } from "../../../support/seeded-random.ts";

describe("token buckets", () => {
  test("hold their burst at first, and earn their rate afterwards", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(1, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 });
    expect(buckets.read(1)).toBe(100_000);
    buckets.take(1, 100_000);
    expect(buckets.read(1)).toBe(0);
    time.now += 30;
    expect(buckets.read(1)).toBe(30_000);
    time.now += 3_600_000;
    expect([buckets.read(1), buckets.isFull(1), buckets.limits(0)]).toEqual([100_000, true, false]);
  });

  test("hold at least what comes in 50 milliseconds: a timer can be late", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 0 });
    expect(buckets.read(0)).toBe(50_000);
  });

  test.each([1024, 100_000, 20 * MEGABYTE, 1000 * MEGABYTE, 100_000 * MEGABYTE])(
    "earn exactly %d bytes a second, however often somebody looks",
    (bytesPerSecond) => {
      const random = createRandom(bytesPerSecond);
      const { time, buckets } = makeBuckets();
      buckets.set(0, { bytesPerSecond, burstBytes: bytesPerSecond }, "empty");
      let taken = 0;
      for (const end = time.now + 10_000; time.now < end; time.now += random.below(30)) {
        const there = buckets.read(0);
        if (there <= 0) continue;
        buckets.take(0, there);
        taken += there;
      }
      expect(Math.abs(taken / (bytesPerSecond * 10) - 1)).toBeLessThan(0.005);
    },
  );

  test("are the same for whoever sees the same memory", () => {
    const { time, buckets } = makeBuckets();
    const other = new TokenBuckets(buckets.buffer, () => time.now);
    buckets.set(3, { bytesPerSecond: MEGABYTE, burstBytes: 64_000 });
    other.take(3, 3200);
    expect(buckets.read(3)).toBe(60_800);
    other.giveBack(3, 1600);
    expect(buckets.read(3)).toBe(62_400);
  });

  test("earn nothing twice when a thread is a little behind the others", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 }, "empty");
    time.now -= 20;
    expect(buckets.read(0)).toBe(0);
    time.now += 21;
    expect(buckets.read(0)).toBe(1000);
  });

  // A wake-up has to be worth its price, and everybody has a turn in time.
  test.each([
    // Bytes per second, flows, bytes of a turn, milliseconds between two turns of a flow.
    [20 * MEGABYTE, 1, 4_000_000, 200],
    [20 * MEGABYTE, 8, 750_000, 300],
    [20 * MEGABYTE, 100, 65_536, 328],
    [20 * MEGABYTE, 500, 28_000, 700],
    [MEGABYTE, 1, 200_000, 200],
    [MEGABYTE, 8, 65_536, 524],
    [400 * MEGABYTE, 1, 20_000_000, 50],
    [400 * MEGABYTE, 8, 10_000_000, 200],
    [100 * MEGABYTE, 2, 5_000_000, 100],
    [5000, 2, 1000, 400],
  ])("with %d bytes a second and %d flows give turns of %d bytes, every %d ms", (rate, flows, bytes, ms) => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: rate, burstBytes: rate / 10 }, "empty");
    for (let flow = 0; flow < flows; flow += 1) buckets.beginWaiting(0);
    expect(buckets.measureTurn(0, { isWaiting: true })).toBe(bytes);
    expect(Math.round((bytes * flows * 1000) / rate)).toBe(ms);
  });

  test("give a new flow a smaller turn than one that goes on", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 20 * MEGABYTE, burstBytes: 2 * MEGABYTE }, "empty");
    expect([buckets.measureTurn(0, { isNew: true }), buckets.measureTurn(0)]).toEqual([MEGABYTE, 4 * MEGABYTE]);
  });

  test("are full after any time, also when the clock of 32 bits has gone round", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 1024, burstBytes: 5000 }, "empty");
    time.now += 2 ** 31 + 5000;
    expect(buckets.read(0)).toBe(5000);
  });
});
