import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../../../src/config/schema.ts";
import type { Budgeted } from "../../../../src/net/conn/budget.ts";
import { Bandwidths, type BandwidthSubject } from "../../../../src/proxy/limit/bandwidths.ts";
import type { Runtime } from "../../../../src/proxy/runtime.ts";
import { compileForTest } from "../../../support/compile-for-test.ts";
import { makeIp } from "../../../support/make-policy.ts";

const RULE = { name: "open", allow: true, to: ["192.0.2.0/24"] };

function compile(config: PenstockConfig): Runtime {
  return compileForTest({ listen: ["127.0.0.1:0"], rules: [RULE], ...config }).runtime;
}

function subject(client = "10.0.0.1", user?: string, rule = RULE.name): BandwidthSubject {
  return { client: makeIp(client), user, decision: { rule } };
}

/** A flow that counts its calls. */
function makeFlow(): Budgeted & { calls: number } {
  return {
    calls: 0,
    refilled() {
      this.calls += 1;
    },
  };
}

/** Bandwidths on a clock that stands still. */
function open(config: PenstockConfig, most?: number) {
  const time = { now: 1000 };
  const bandwidths = new Bandwidths(compile(config), { clock: () => time.now, ...(most !== undefined && { most }) });
  return { time, bandwidths };
}

const MB = 1_000_000;

describe("bandwidths", () => {
  test("are off without any limit, and give no budgets", () => {
    const { bandwidths } = open({});
    expect([bandwidths.isOff, bandwidths.enter(subject()), bandwidths.size]).toEqual([true, undefined, 0]);
  });

  test("limit each direction for itself, with all that it comes under", () => {
    const { bandwidths, time } = open({
      limits: {
        bandwidth: { down: "100MB/s" },
        perUser: { bandwidth: "20MB/s" },
        perClient: { bandwidth: { up: "10MB/s", down: "40MB/s" } },
      },
      rules: [{ ...RULE, bandwidth: "5MB/s" }],
      users: [{ name: "alice", password: "correct horse battery" }],
    });
    const flow = makeFlow();
    const hold = bandwidths.enter(subject("10.0.0.1", "alice"));
    // 100 ms of the lowest of all.
    expect([hold?.up.take(10 * MB, flow), hold?.down.take(10 * MB, flow)]).toEqual([MB / 2, MB / 2]);
    expect(bandwidths.nameLimit(hold?.up.waitsFor ?? -1)).toBe("rules.bandwidth");
    hold?.up.leave(flow);
    hold?.down.leave(flow);
    time.now += 100;
    const other = bandwidths.enter(subject("10.0.0.1", "alice", "another"));
    expect([other?.up.take(10 * MB, flow), other?.down.take(10 * MB, flow)]).toEqual([MB, 2 * MB]);
    expect(bandwidths.nameLimit(other?.up.waitsFor ?? -1)).toBe("perClient.bandwidth");
    expect(bandwidths.nameLimit(other?.down.waitsFor ?? -1)).toBe("perUser.bandwidth");
    other?.up.leave(flow);
    other?.down.leave(flow);
  });

  test("are shared by the connections of a user, and not by users, of whom each has their own", () => {
    const { bandwidths } = open({
      limits: { perUser: { bandwidth: "20MB/s" } },
      users: [
        { name: "alice", password: "correct horse battery" },
        { name: "ci", password: "correct horse staple", limits: { bandwidth: "60MB/s" } },
      ],
    });
    const flow = makeFlow();
    const take = (user?: string): number | undefined =>
      bandwidths.enter(subject("10.0.0.1", user))?.down.take(10 * MB, flow);
    expect([take("alice"), take("alice"), take("ci"), take()]).toEqual([2 * MB, 0, 6 * MB, undefined]);
    expect(bandwidths.size).toBe(2);
  });

  test("give a client nothing twice that comes again, and forget it when its bucket is full", async () => {
    const { time, bandwidths } = open({ limits: { perClient: { bandwidth: "1MB/s" } } });
    const flow = makeFlow();
    const first = bandwidths.enter(subject());
    expect(first?.down.take(MB, flow)).toBe(100_000);
    first?.down.leave(flow);
    first?.release();
    first?.release();
    const second = bandwidths.enter(subject());
    expect([second?.down.take(MB, flow), bandwidths.size]).toEqual([0, 1]);
    second?.down.leave(flow);
    second?.release();
    time.now += 200;
    while (bandwidths.size > 0) await Bun.sleep(50);
    expect(bandwidths.enter(subject())?.down.take(MB, flow)).toBe(100_000);
  });

  test("push out who is idle, the longest first, and never who is active", () => {
    const { bandwidths } = open({ limits: { perClient: { bandwidth: "1MB/s" } } }, 3);
    const flow = makeFlow();
    const active = bandwidths.enter(subject("10.0.0.1"));
    active?.down.take(MB, flow);
    for (let last = 1; last < 255; last += 1) bandwidths.enter(subject(`10.0.1.${last}`))?.release();
    expect(bandwidths.size).toBe(3);
    expect(bandwidths.enter(subject("10.0.0.1"))?.down.take(MB, makeFlow())).toBe(0);
  });

  test("make those share a bucket for whom none is left, and none is unlimited", () => {
    const { time, bandwidths } = open({ limits: { perClient: { bandwidth: "1MB/s" } } }, 2);
    const holds = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"].map((client) => bandwidths.enter(subject(client)));
    time.now += 1000;
    const taken = holds.map((hold) => hold?.down.take(MB, makeFlow()));
    expect(taken).toEqual([100_000, 100_000, 100_000, 0]);
    for (const hold of holds) hold?.release();
    expect(bandwidths.size).toBe(2);
  });

  test("begin empty for what comes from another process: nothing is there twice", () => {
    const { bandwidths } = open({ limits: { bandwidth: "1MB/s" } });
    expect(bandwidths.enter(subject(), true)?.down.take(MB, makeFlow())).toBe(0);
  });

  test("count the seconds that flows waited, by limit", () => {
    const { time, bandwidths } = open({ limits: { perClient: { bandwidth: "1MB/s" } } });
    const flow = makeFlow();
    const hold = bandwidths.enter(subject());
    hold?.down.take(MB, flow);
    time.now += 1000;
    hold?.down.leave(flow);
    expect(bandwidths.parkedSeconds()["perClient.bandwidth"]).toBe(1);
    expect(bandwidths.parkedSeconds()["bandwidth"]).toBe(0);
  });
});

describe("a reload", () => {
  test("changes, lifts and adds limits for those that are under way", () => {
    const { bandwidths } = open({ limits: { perClient: { bandwidth: "1MB/s" } } });
    const flow = makeFlow();
    const who = subject();
    const hold = bandwidths.enter(who);
    bandwidths.use(compile({ limits: { perClient: { bandwidth: "20MB/s" } } }));
    expect([hold?.down.take(10 * MB, flow), bandwidths.follow(who, hold)]).toEqual([0, undefined]);
    hold?.down.leave(flow);
    bandwidths.use(compile({}));
    expect([bandwidths.isOff, hold?.down.take(10 * MB, flow)]).toEqual([true, 10 * MB]);
    expect(bandwidths.follow(who, hold)).toBeUndefined();
    bandwidths.use(compile({ rules: [{ ...RULE, bandwidth: "1MB/s" }] }));
    const next = bandwidths.follow(who, hold);
    expect(next?.down.take(MB, flow)).toBe(100_000);
    expect(bandwidths.follow(who, next)).toBeUndefined();
    expect(bandwidths.follow(subject("10.0.0.2", undefined, "another"), undefined)).toBeUndefined();
  });
});
