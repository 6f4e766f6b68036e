import { describe, expect, test } from "bun:test";
import { carryPools } from "../../../src/handover/carried-pools.ts";
import type { JsonValue } from "../../../src/protocol/handover/json-value.ts";
import { makeMember, makePoolPlan, pass, PoolStand, take } from "../../support/make-pool.ts";

/** What arrives of a value in another process. */
const send = (value: JsonValue): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

describe("carried pools", () => {
  test("leave out who was disabled or ejected, for the time that is left", () => {
    const plan = makePoolPlan(["a", "b", "c"], {
      eject: { failures: 1, forMs: 10_000, maxMs: 60_000, statuses: new Set() },
    });
    const old = new PoolStand();
    const pool = old.open(plan);
    pool.disable("a", true);
    take(pool).failed("connection_refused");
    const [ejected] = pool.members.filter(({ health }) => health.ejections === 1);
    old.now += 4000;
    const next = new PoolStand();
    const heir = next.open(plan);
    expect(carryPools(next.carried).restore(send(carryPools(old.carried).save()), 0)).toBe(true);
    const left = ["b", "c"].find((name) => name !== ejected?.name);
    for (let at = 0; at < 4; at++) expect(pass(heir)).toBe(left as string);
    expect(heir.find("a")?.health).toMatchObject({ disabled: true, reason: "by an operator" });
    const health = heir.find(ejected?.name ?? "")?.health;
    expect([health?.stateAt(next.now + 5999), health?.stateAt(next.now + 6000)]).toEqual(["ejected", "trial"]);
    expect(health).toMatchObject({ reason: "connection_refused", changedAt: next.now - 4000 });
  });

  test("leave out who is down only where checks can bring it back, and nobody twice", () => {
    const health = {
      probe: { kind: "tcp" },
      everyMs: 1000,
      timeoutMs: 1000,
      rise: 1,
      fall: 1,
      whenIdle: true,
    } as const;
    const old = new PoolStand();
    const checked = old.open(makePoolPlan(["a"], { health }));
    checked.members[0]?.health.check("check: connection_refused", old.now, health);
    const saved = send(carryPools(old.carried).save());
    for (const [plan, state] of [
      [makePoolPlan(["a"], { health }), "down"],
      [makePoolPlan(["a"]), "healthy"],
    ] as const) {
      const next = new PoolStand();
      const pool = next.open(plan);
      carryPools(next.carried).restore(saved, 0);
      expect(pool.members[0]?.health.stateAt(next.now)).toBe(state);
      expect(next.events).toEqual([]);
    }
  });

  test("know nothing of pools and members that are gone, and take no other shape", () => {
    const next = new PoolStand();
    next.open(makePoolPlan(["a"]));
    const good = { disabled: true, down: false, ejections: 0, lastForMs: 0, sinceMs: 0 };
    const carried = carryPools(next.carried);
    expect(carried.restore({ gone: { a: good }, pool: { gone: good } }, 0)).toBe(true);
    for (const bad of [
      null,
      [],
      { pool: { a: { ...good, disabled: 1 } } },
      { pool: { a: { ...good, ejections: -1 } } },
    ])
      expect(carried.restore(bad, 0)).toBe(false);
    expect(next.pools.get("pool")?.find("a")?.health.disabled).toBe(false);
  });

  test("keep the latency of members, until there are observations in the new process", () => {
    const old = new PoolStand();
    const pool = old.open(makePoolPlan(["a", "b"]));
    for (let at = 1; at <= 200; at += 1) pool.find("a")?.latency.observe(at, old.now);
    old.now += 1000;
    const next = new PoolStand();
    const heir = next.open(makePoolPlan(["a", "b"]));
    const saved = send(carryPools(old.carried).save());
    const carried = carryPools(next.carried);
    carried.restore(saved, 0);
    const [before, after] = [pool.find("a")?.latency, heir.find("a")?.latency];
    for (const part of [0.5, 0.99]) expect(after?.quantile(part)).toBe(before?.quantile(part));
    expect(after?.average).toBe(before?.average);
    expect(heir.find("b")?.latency.average).toBeUndefined();
    after?.observe(1000, next.now);
    carried.restore(saved, 0);
    expect(after?.average).toBe(1000);
  });

  test("say nothing against what has happened to a member in the new process since", () => {
    const old = new PoolStand();
    const pool = old.open(makePoolPlan(["a", "b"]));
    pool.disable("a", true);
    const next = new PoolStand();
    const heir = next.open(makePoolPlan(["a", "b"]));
    const carried = carryPools(next.carried);
    carried.restore(send(carryPools(old.carried).save()), 0);
    next.now += 1000;
    old.now += 1000;
    heir.disable("a", false);
    // The old process has ended its last connection.
    old.now += 60_000;
    next.now += 60_000;
    pool.disable("b", true);
    carried.restore(send(carryPools(old.carried).save("offer")), 0);
    expect(heir.members.map(({ health }) => health.disabled)).toEqual([false, true]);
  });

  test("know nothing of members at another address", () => {
    const old = new PoolStand();
    old.open(makePoolPlan(["a"])).disable("a", true);
    const next = new PoolStand();
    const { way } = makeMember("elsewhere");
    const heir = next.open(makePoolPlan([makeMember("a", { way })]));
    expect(carryPools(next.carried).restore(send(carryPools(old.carried).save()), 0)).toBe(true);
    expect(heir.find("a")?.health.disabled).toBe(false);
  });

  test("have bounded latencies, however many members there are", () => {
    const old = new PoolStand();
    const pool = old.open(makePoolPlan(Array.from({ length: 5000 }, (_, at) => `m${at}`)));
    for (const member of pool.members)
      for (let at = 0; at < 128; at += 1) member.latency.observe(12_345.67 + at, old.now);
    const saved = JSON.stringify(carryPools(old.carried).save());
    expect(saved.length).toBeLessThan(4 * 1024 * 1024);
    const next = new PoolStand();
    const heir = next.open(pool.plan);
    expect(carryPools(next.carried).restore(JSON.parse(saved) as JsonValue, 0)).toBe(true);
    expect(heir.members.every(({ latency }) => latency.average !== undefined)).toBe(true);
  });
});
