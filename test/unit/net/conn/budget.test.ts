import { describe, expect, test } from "bun:test";
import { SharedBudget, TokenBuckets } from "../../../../src/net/conn/budget.ts";
import { createRandom } from "../../../support/seeded-random.ts";

/** Buckets on a clock that a test moves. */
function makeBuckets(count = 4) {
  const time = { now: 1000 };
  const { buffer } = TokenBuckets.create(count);
  return { time, buckets: new TokenBuckets(buffer, () => time.now) };
}

const MEGABYTE = 1_000_000;

describe("token buckets", () => {
  test("hold their burst at first, and earn their rate afterwards", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(1, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 });
    expect([buckets.take(1, 100_000, false), buckets.read(1)]).toEqual([100_000, 0]);
    time.now += 30;
    expect(buckets.read(1)).toBe(30_000);
    time.now += 3_600_000;
    expect([buckets.read(1), buckets.read(0)]).toEqual([100_000, 0]);
  });

  test("are the same for whoever sees the same memory", () => {
    const { time, buckets } = makeBuckets();
    const other = new TokenBuckets(buckets.buffer, () => time.now);
    buckets.set(3, { bytesPerSecond: MEGABYTE, burstBytes: 5000 });
    expect(other.take(3, 3000, false)).toBe(3000);
    expect(buckets.read(3)).toBe(2000);
    other.giveBack(3, 1000);
    expect(buckets.read(3)).toBe(3000);
  });

  test("earn nothing twice when a thread is a little behind the others", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 });
    buckets.take(0, 100_000, false);
    time.now -= 20;
    expect(buckets.read(0)).toBe(0);
    time.now += 21;
    expect(buckets.read(0)).toBe(1000);
  });

  test("are full after any time, also when the clock of 32 bits has gone round", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 10, burstBytes: 5000 });
    buckets.take(0, 5000, false);
    time.now += 2 ** 31 + 5000;
    expect(buckets.read(0)).toBe(5000);
  });
});

describe("a shared budget", () => {
  test("takes what all of its buckets allow, and nothing from one when another has nothing", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 50_000 });
    buckets.set(1, { bytesPerSecond: MEGABYTE, burstBytes: 20_000 });
    const budget = new SharedBudget(buckets, [0, 1]);
    expect([budget.take(40_000), buckets.read(0), buckets.read(1)]).toEqual([20_000, 30_000, 0]);
    expect([budget.take(40_000), buckets.read(0)]).toEqual([0, 30_000]);
    budget.giveBack(500);
    expect([buckets.read(0), buckets.read(1)]).toEqual([30_500, 500]);
  });

  test("has its turn before one that comes later", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 });
    buckets.take(0, 100_000, false);
    const [first, later] = [new SharedBudget(buckets, [0]), new SharedBudget(buckets, [0])];
    expect(first.take(2000)).toBe(0);
    time.now += first.dueIn;
    expect([later.take(2000), first.take(2000), later.take(2000)]).toEqual([0, 2000, 2000]);
  });

  test("has its turn in all of its buckets, when others wait in each of them", () => {
    const { time, buckets } = makeBuckets();
    for (const bucket of [0, 1]) {
      buckets.set(bucket, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 });
      buckets.take(bucket, 100_000, false);
      new SharedBudget(buckets, [bucket]).take(2000);
    }
    const budget = new SharedBudget(buckets, [0, 1]);
    expect(budget.take(2000)).toBe(0);
    time.now += budget.dueIn;
    expect(budget.take(2000)).toBe(2000);
  });

  test("keeps nobody from anything once it waits no longer", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 });
    buckets.take(0, 100_000, false);
    const [first, later] = [new SharedBudget(buckets, [0]), new SharedBudget(buckets, [0])];
    first.take(2000);
    time.now += 50;
    first.leave();
    expect(later.take(2000)).toBe(2000);
  });
});

describe("flows that share a bucket", () => {
  // Rate in bytes per second, flows, and what each wants at once.
  test.each([
    [20 * MEGABYTE, 1, 1_048_576],
    [20 * MEGABYTE, 8, 1_048_576],
    [20 * MEGABYTE, 500, 16_384],
    [100_000, 3, 1_048_576],
    [5000, 2, 100],
    [1000 * MEGABYTE, 64, 1_048_576],
  ])("get %d bytes per second together, %d flows of them equal parts, without spinning", (rate, count, wanted) => {
    const random = createRandom(count);
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: rate, burstBytes: rate / 10 });
    buckets.take(0, rate, false);
    const flows = Array.from({ length: count }, () => ({ budget: new SharedBudget(buckets, [0]), bytes: 0, due: 0 }));
    // Those that wait, the longest first, as a lane keeps them.
    let waiting = flows.slice();
    let passes = 0;
    const seconds = 10;
    const end = time.now + seconds * 1000;
    while (time.now < end) {
      passes += 1;
      const still: typeof waiting = [];
      const again: typeof waiting = [];
      for (const flow of waiting) {
        if (flow.due > time.now) {
          still.push(flow);
          continue;
        }
        const taken = flow.budget.take(wanted);
        // What is not there to be moved comes back.
        const moved = random.below(8) === 0 ? Math.ceil(taken / 2) : taken;
        flow.budget.giveBack(taken - moved);
        flow.bytes += moved;
        if (taken === 0) flow.due = time.now + flow.budget.dueIn;
        (taken === 0 ? still : again).push(flow);
      }
      waiting = [...still, ...again];
      const next = Math.min(...waiting.map(({ due }) => due));
      // Those that took are ready at once.
      if (next > time.now) time.now = next;
    }
    const total = flows.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(total / (rate * seconds)).toBeGreaterThan(0.97);
    expect(total / (rate * seconds)).toBeLessThan(1.03);
    const share = total / count;
    for (const { bytes } of flows) expect(Math.abs(bytes - share)).toBeLessThan(Math.max(share * 0.25, rate * 0.06));
    // One pass in which they take, and one in which they find that they have to wait.
    expect(passes / seconds).toBeLessThan(250);
  });
});
