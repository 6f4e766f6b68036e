import { describe, expect, test } from "bun:test";
import { carryPools } from "../../../src/handover/carried-pools.ts";
import type { JsonValue } from "../../../src/protocol/handover/json-value.ts";
import { makePoolPlan, pass, PoolStand, take } from "../../support/make-pool.ts";

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
    expect(carryPools(next.pools).restore(send(carryPools(old.pools).save()), 0)).toBe(true);
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
    const saved = send(carryPools(old.pools).save());
    for (const [plan, state] of [
      [makePoolPlan(["a"], { health }), "down"],
      [makePoolPlan(["a"]), "healthy"],
    ] as const) {
      const next = new PoolStand();
      const pool = next.open(plan);
      carryPools(next.pools).restore(saved, 0);
      expect(pool.members[0]?.health.stateAt(next.now)).toBe(state);
      expect(next.events).toEqual([]);
    }
  });

  test("know nothing of pools and members that are gone, and take no other shape", () => {
    const next = new PoolStand();
    next.open(makePoolPlan(["a"]));
    const good = { disabled: true, down: false, ejections: 0, lastForMs: 0, sinceMs: 0 };
    const carried = carryPools(next.pools);
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
});
