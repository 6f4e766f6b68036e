import { describe, expect, test } from "bun:test";
import { SharedBudget } from "../../../../src/net/conn/shared-budget.ts";
import { TokenBuckets } from "../../../../src/net/conn/token-buckets.ts";
import { TurnPlace, TurnQueue } from "../../../../src/net/conn/turn-queue.ts";
import { makeBuckets, MEGABYTE } from "../../../support/make-buckets.ts";
import { createRandom } from "../../../support/seeded-random.ts";

/** A flow that counts what it moves. */
class Flow {
  readonly budget: SharedBudget;
  readonly place: TurnPlace<Flow> = new TurnPlace<Flow>(this);
  bytes = 0;

  constructor(buckets: TokenBuckets) {
    this.budget = new SharedBudget(buckets, [0]);
  }
}

describe("a shared budget", () => {
  test("takes what all of its buckets allow, and nothing from one when another has nothing", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 128_000 });
    buckets.set(1, { bytesPerSecond: MEGABYTE / 2, burstBytes: 64_000 });
    const budget = new SharedBudget(buckets, [0, 1]);
    expect([budget.take(80_000), buckets.read(0), buckets.read(1)]).toEqual([64_000, 64_000, 0]);
    budget.giveBack(1600);
    expect([buckets.read(0), buckets.read(1)]).toEqual([65_600, 1600]);
  });

  test("takes what it wants where nothing is limited", () => {
    const { buckets } = makeBuckets();
    expect(new SharedBudget(buckets, [0, 1]).take(MEGABYTE)).toBe(MEGABYTE);
  });

  test("has its turn before one that comes later", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 }, "empty");
    const [first, later] = [new SharedBudget(buckets, [0]), new SharedBudget(buckets, [0])];
    expect([first.take(2000), later.take(2000), buckets.countWaiting(0)]).toEqual([0, 0, 2]);
    expect(later.dueIn - first.dueIn).toBeCloseTo(2, 1);
    time.now += first.dueIn;
    expect([later.take(2000), first.take(2000), later.waitsFor]).toEqual([0, 2000, 0]);
    time.now += later.dueIn;
    expect([later.take(2000), later.waitsFor, buckets.countWaiting(0)]).toEqual([2000, undefined, 0]);
  });

  test("waits for the bucket that is due last, and has its turn in all of them then", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 }, "empty");
    buckets.set(1, { bytesPerSecond: MEGABYTE / 4, burstBytes: 100_000 }, "empty");
    const budget = new SharedBudget(buckets, [0, 1]);
    expect([budget.take(2000), budget.waitsFor]).toEqual([0, 1]);
    expect(budget.dueIn).toBeCloseTo(8, 1);
    time.now += budget.dueIn;
    expect(budget.take(2000)).toBe(2000);
  });

  test("gives back what it has reserved once it waits no longer", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 }, "empty");
    const budget = new SharedBudget(buckets, [0]);
    budget.take(3200);
    expect([buckets.read(0), buckets.countWaiting(0)]).toEqual([-3200, 1]);
    budget.leave();
    budget.leave();
    expect([buckets.read(0), buckets.countWaiting(0)]).toEqual([0, 0]);
  });

  test("asks again when a bucket was set meanwhile, and keeps nothing that was reserved before", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 1024, burstBytes: 0 }, "empty");
    const budget = new SharedBudget(buckets, [0]);
    expect([budget.take(MEGABYTE), budget.dueIn <= 1000]).toEqual([0, true]);
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 128_000 });
    expect([budget.take(MEGABYTE), buckets.read(0)]).toEqual([128_000, 0]);
    expect(budget.take(MEGABYTE)).toBe(0);
    buckets.set(0, undefined);
    expect([budget.take(MEGABYTE), buckets.countWaiting(0)]).toEqual([MEGABYTE, 0]);
  });

  test.each(["take", "expect"] as const)("does not wait when the limit is lifted while it looks (%s)", (how) => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 }, "empty");
    const lifted = new (class extends TokenBuckets {
      override read(bucket: number): number {
        const there = super.read(bucket);
        buckets.set(bucket, undefined);
        return there;
      }
    })(buckets.buffer, () => time.now);
    const budget = new SharedBudget(lifted, [0]);
    expect(how === "take" ? budget.take(2000) : budget.expect(2000, true)).toBe(2000);
    expect([budget.waitsFor, budget.dueIn, buckets.countWaiting(0)]).toEqual([undefined, Infinity, 0]);
  });

  test("never waits longer than a second before it asks again, however many wait before it", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 1024, burstBytes: 0 }, "empty");
    const budgets = Array.from({ length: 2000 }, () => new SharedBudget(buckets, [0]));
    for (const budget of budgets) expect([budget.take(MEGABYTE), budget.dueIn <= 1000]).toEqual([0, true]);
    for (const budget of budgets) budget.leave();
    expect([buckets.countWaiting(0), Math.abs(buckets.read(0)) < 2000]).toEqual([0, true]);
  });

  test("keeps what it did not use of its turn for a while, and then gives it back", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 20 * MEGABYTE, burstBytes: 2 * MEGABYTE }, "empty");
    const budget = new SharedBudget(buckets, [0]);
    expect([budget.take(65_536), budget.dueIn]).toEqual([0, 50]);
    time.now += 50;
    expect([budget.take(65_536), budget.take(65_536), buckets.read(0), budget.dueIn]).toEqual([65_536, 65_536, 0, 250]);
    budget.giveBack(5536);
    expect(buckets.read(0)).toBe(0);
    budget.returnCredit();
    expect(buckets.read(0)).toBe(0);
    time.now += 250;
    const rest = 1_000_000 - 2 * 65_536 + 5536;
    budget.returnCredit();
    expect([Math.abs(buckets.read(0) - 2 * MEGABYTE) < 1, budget.dueIn]).toEqual([true, Infinity]);
    expect(budget.take(rest)).toBe(rest);
  });

  test("tells what it would give, and takes nothing", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 200_000 });
    const budget = new SharedBudget(buckets, [0]);
    expect([budget.expect(MEGABYTE, true), budget.expect(1000, false)]).toEqual([200_000, 1000]);
    expect([buckets.read(0), budget.take(150_000)]).toEqual([200_000, 150_000]);
    // Less than the 65,536 of a turn.
    expect([budget.expect(MEGABYTE, false), budget.waitsFor, budget.expect(1000, false)]).toEqual([0, undefined, 1000]);
    expect([budget.expect(MEGABYTE, true), budget.waitsFor, Math.round(budget.dueIn)]).toEqual([0, 0, 16]);
  });

  test("gives what a full bucket holds, also where a turn is larger", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 50_000 });
    const budget = new SharedBudget(buckets, [0]);
    expect([budget.expect(MEGABYTE, true), budget.take(MEGABYTE), budget.take(MEGABYTE)]).toEqual([50_000, 50_000, 0]);
    expect(Math.round(budget.dueIn)).toBe(66);
  });

  test("ends a turn of which little is left, and waits for a whole one, which is larger than its first", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 200_000 }, "empty");
    const budget = new SharedBudget(buckets, [0]);
    expect(budget.expect(MEGABYTE, true)).toBe(0);
    time.now += 66;
    expect([budget.expect(MEGABYTE, true), budget.take(60_000)]).toEqual([65_536, 60_000]);
    expect([budget.expect(MEGABYTE, false), budget.expect(MEGABYTE, true)]).toEqual([5536, 0]);
    // Earned at 1260; the grid has 1300.
    expect(Math.round(budget.dueIn)).toBe(233);
    time.now += 233;
    expect([budget.take(MEGABYTE), buckets.read(0)]).toEqual([200_000, 39_000]);
  });

  test("has its large turns when others have theirs, and loses nothing by it", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 20 * MEGABYTE, burstBytes: 2 * MEGABYTE }, "empty");
    const budgets = Array.from({ length: 8 }, () => new SharedBudget(buckets, [0]));
    const times = new Set<number>();
    let moved = 0;
    const start = time.now;
    for (; time.now < start + 20_000; time.now += 1)
      for (const budget of budgets) {
        if (budget.dueIn > 0 && budget.dueIn < Infinity) continue;
        if (time.now > start + 2000) times.add(time.now);
        for (let taken = budget.take(MEGABYTE); taken > 0; taken = budget.take(MEGABYTE)) moved += taken;
      }
    expect(Math.abs(moved / (20 * MEGABYTE) - 20)).toBeLessThan(0.1);
    expect([...times].filter((at) => at % 100 !== 99)).toEqual([]);
  });

  test("has a large turn at once when the flow has had turns elsewhere", () => {
    const { buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: 20 * MEGABYTE, burstBytes: 2 * MEGABYTE }, "empty");
    new SharedBudget(buckets, [0]).take(MEGABYTE);
    expect(buckets.read(0)).toBe(-1 * MEGABYTE);
    new SharedBudget(buckets, [0], { hasMoved: true }).take(MEGABYTE);
    expect(buckets.read(0)).toBe(-4 * MEGABYTE);
  });

  test("does not wait for others where a bucket holds less than what comes meanwhile", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 60_000 }, "empty");
    const budget = new SharedBudget(buckets, [0]);
    budget.take(MEGABYTE);
    time.now += Math.ceil(budget.dueIn);
    while (budget.take(MEGABYTE) > 0);
    expect(Math.round(budget.dueIn)).toBe(200);
  });

  test("counts the time that it waited", () => {
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: MEGABYTE, burstBytes: 100_000 }, "empty");
    const budget = new SharedBudget(buckets, [0]);
    budget.take(16_000);
    time.now += 30;
    budget.take(16_000);
    expect([buckets.drainParkedMs(0), buckets.drainParkedMs(0)]).toEqual([30, 0]);
    const month = 30 * 86_400_000;
    for (let count = 0; count < 3; count += 1) {
      buckets.beginWaiting(0);
      buckets.endWaiting(0, month);
    }
    expect([buckets.drainParkedMs(0), buckets.drainParkedMs(0)]).toEqual([3 * month, 0]);
  });
});

describe("flows that share a bucket", () => {
  // Rate in bytes per second, flows, what each wants at once.
  test.each([
    [20 * MEGABYTE, 1, 1_048_576],
    [20 * MEGABYTE, 8, 1_048_576],
    [20 * MEGABYTE, 8, 65_536],
    [20 * MEGABYTE, 500, 1_048_576],
    [20 * MEGABYTE, 500, 16_384],
    [100_000, 3, 1_048_576],
    [5000, 2, 100],
    [1000 * MEGABYTE, 64, 1_048_576],
  ])("get %d bytes per second together, %d flows of them equal parts, without spinning", (rate, count, wanted) => {
    const random = createRandom(count);
    const { time, buckets } = makeBuckets();
    buckets.set(0, { bytesPerSecond: rate, burstBytes: rate / 10 }, "empty");
    const flows = Array.from({ length: count }, () => new Flow(buckets));
    const turns = new TurnQueue<Flow>();
    let passes = 0;
    let calls = 0;
    const seconds = 10;
    const ask = (flow: Flow): void => {
      for (;;) {
        calls += 1;
        const taken = flow.budget.take(wanted);
        if (taken === 0) break;
        // What is not there to be moved comes back.
        const moved = random.below(8) === 0 ? Math.ceil(taken / 2) : taken;
        flow.budget.giveBack(taken - moved);
        flow.bytes += moved;
      }
      turns.add(flow.place, time.now + flow.budget.dueIn);
    };
    for (const flow of flows) ask(flow);
    for (const end = time.now + seconds * 1000; time.now < end;) {
      passes += 1;
      // A timer is late now and then.
      time.now = Math.max(time.now, turns.nextAt) + random.below(4);
      for (let flow = turns.takeDue(time.now); flow; flow = turns.takeDue(time.now)) ask(flow);
    }
    const total = flows.reduce((sum, { bytes }) => sum + bytes, 0);
    expect(total / (rate * seconds)).toBeWithin(0.97, 1.03);
    const share = total / count;
    for (const { bytes } of flows) expect(Math.abs(bytes - share)).toBeLessThan(Math.max(share * 0.25, rate * 0.06));
    expect(passes / seconds).toBeLessThan(126);
    // One call that takes, and one that finds that it has to wait.
    expect(calls).toBeLessThan(
      2.3 * (count + total / Math.min(wanted, buckets.measureTurn(0, { isWaiting: true }) / 2)),
    );
    const newcomer = new Flow(buckets);
    ask(newcomer);
    for (const end = time.now + 1000; time.now < end;) {
      time.now = Math.max(time.now, turns.nextAt);
      for (let flow = turns.takeDue(time.now); flow; flow = turns.takeDue(time.now)) ask(flow);
    }
    expect(newcomer.bytes).toBeGreaterThan(0.4 * Math.min(rate / (count + 1), wanted));
  });
});
