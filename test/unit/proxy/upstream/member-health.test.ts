import { describe, expect, test } from "bun:test";
import { type HealthChange, MemberHealth } from "../../../../src/proxy/upstream/member-health.ts";
import type { EjectPlan } from "../../../../src/proxy/route/pool-plan.ts";

const plan: EjectPlan = { failures: 3, forMs: 10_000, maxMs: 60_000, statuses: new Set([403, 429]) };

function makeHealth() {
  const changes: HealthChange[] = [];
  return { health: new MemberHealth(0, (change) => changes.push(change)), changes };
}

/** Fails `times` dials in a row that begin and end at `now`. */
function failTimes(health: MemberHealth, times: number, now: number): void {
  for (let at = 0; at < times; at++) health.fail("connection_refused", false, now, now, plan);
}

/** Runs the one trial. */
function tryAt(health: MemberHealth, now: number, works: boolean): void {
  expect(health.stateAt(now)).toBe("trial");
  expect(health.begin(now)).toBe(true);
  if (works) health.succeed(true, now, now);
  else health.fail("connection_refused", true, now, now, plan);
}

describe("the passive health of a member", () => {
  test("ejects after consecutive failures, and a success in between starts the count again", () => {
    const { health, changes } = makeHealth();
    failTimes(health, 2, 1000);
    health.succeed(false, 1001, 1001);
    failTimes(health, 2, 1002);
    expect(health.stateAt(1002)).toBe("healthy");
    failTimes(health, 1, 1003);
    expect(health.stateAt(1003)).toBe("ejected");
    expect(changes).toEqual([{ state: "ejected", reason: "connection_refused", failures: 3, forMs: 10_000 }]);
  });

  test("lets one trial through when the time is over, and no other until that has ended", () => {
    const { health } = makeHealth();
    failTimes(health, 3, 0);
    expect(health.isUsableAt(9999)).toBe(false);
    expect(health.isUsableAt(10_000)).toBe(true);
    expect(health.begin(10_000)).toBe(true);
    expect(health.isUsableAt(10_001)).toBe(false);
    health.abandon(true);
    expect(health.isUsableAt(10_002)).toBe(true);
  });

  test("leaves it out for twice as long after each trial that fails, up to the most", () => {
    const { health } = makeHealth();
    failTimes(health, 3, 0);
    let now = 10_000;
    for (const ms of [20_000, 40_000, 60_000, 60_000]) {
      tryAt(health, now, false);
      expect(health.changesAt(now)).toBe(now + ms);
      now += ms;
    }
    expect(health.ejections).toBe(5);
  });

  test("goes on doubling for a member that fails soon after its return, and begins anew for one that held out", () => {
    const { health } = makeHealth();
    failTimes(health, 3, 0);
    tryAt(health, 10_000, true);
    failTimes(health, 3, 15_000);
    expect(health.changesAt(15_000)).toBe(35_000);
    tryAt(health, 35_000, true);
    failTimes(health, 3, 60_000);
    expect(health.changesAt(60_000)).toBe(70_000);
  });

  test("does not count failures of dials that began before its last change", () => {
    const { health } = makeHealth();
    failTimes(health, 3, 1000);
    tryAt(health, 11_000, true);
    for (let at = 0; at < 5; at++) health.fail("upstream_timeout", false, 500, 11_001, plan);
    expect(health.stateAt(11_001)).toBe("healthy");
  });

  test("does not leave a member out for longer because of the dials that fail with it", () => {
    const { health } = makeHealth();
    failTimes(health, 30, 1000);
    expect(health.changesAt(1000)).toBe(11_000);
    expect(health.ejections).toBe(1);
  });

  test("never ejects with failures: 0, but for a status", () => {
    const { health } = makeHealth();
    for (let at = 0; at < 50; at++) health.fail("x", false, at, at, { ...plan, failures: 0 });
    expect(health.stateAt(100)).toBe("healthy");
    health.ejectFor("answered 403", undefined, false, 100, { ...plan, failures: 0 });
    expect(health.stateAt(100)).toBe("ejected");
  });

  test.each([
    [undefined, 10_000],
    [30_000, 30_000],
    [1, 10_000],
    [86_400_000, 60_000],
  ])("leaves a member that asks for %p ms out for %p ms", (asked, ms) => {
    const { health } = makeHealth();
    health.ejectFor("answered 429", asked, false, 1000, plan);
    expect(health.changesAt(1000)).toBe(1000 + ms);
  });
});

describe("the active health of a member", () => {
  const rise = { rise: 2, fall: 3 };

  test("falls and rises after consecutive checks only", () => {
    const { health, changes } = makeHealth();
    const check = (results: string) => {
      for (const result of results) health.check(result === "-" ? "refused" : undefined, 1000, rise);
    };
    check("--+--+--");
    expect(health.stateAt(1000)).toBe("healthy");
    check("-");
    expect(health.stateAt(1000)).toBe("down");
    check("+-+-+");
    expect(health.stateAt(1000)).toBe("down");
    check("+");
    expect(health.stateAt(1000)).toBe("healthy");
    expect(changes.map(({ state }) => state)).toEqual(["down", "healthy"]);
  });

  test("a member that rises is not left out for what dials found before", () => {
    const { health } = makeHealth();
    failTimes(health, 3, 0);
    for (let at = 0; at < 3; at++) health.check("refused", 100, rise);
    for (let at = 0; at < 2; at++) health.check(undefined, 200, rise);
    expect(health.stateAt(200)).toBe("healthy");
  });

  test("does not hold without checks", () => {
    const { health } = makeHealth();
    for (let at = 0; at < 3; at++) health.check("refused", 100, rise);
    health.uncheck(200);
    expect(health.stateAt(200)).toBe("healthy");
  });
});

describe("a member that comes back", () => {
  test("gets a share that grows to its whole", () => {
    const { health } = makeHealth();
    expect(health.shareAt(0, 10_000)).toBe(1);
    failTimes(health, 3, 0);
    tryAt(health, 10_000, true);
    expect(health.shareAt(10_000, 10_000)).toBe(0.05);
    expect(health.shareAt(15_000, 10_000)).toBe(0.5);
    expect(health.shareAt(20_000, 10_000)).toBe(1);
    expect(health.shareAt(10_000, 0)).toBe(1);
  });

  test("is disabled and enabled by an operator, whatever else is known", () => {
    const { health, changes } = makeHealth();
    expect(health.disable(true, 10)).toBe(true);
    expect(health.disable(true, 11)).toBe(false);
    expect(health.stateAt(11)).toBe("disabled");
    expect(health.disable(false, 12)).toBe(true);
    expect(health.stateAt(12)).toBe("healthy");
    expect(changes.map(({ reason }) => reason)).toEqual(["by an operator", "enabled by an operator"]);
  });

  test("that an operator enables is in the state that it was in, for the same reason", () => {
    const { health, changes } = makeHealth();
    failTimes(health, 3, 0);
    health.disable(true, 10);
    health.disable(false, 20);
    expect(health.stateAt(20)).toBe("ejected");
    expect(health.reason).toBe("connection_refused");
    expect(changes.map(({ state }) => state)).toEqual(["ejected", "disabled", "ejected"]);
  });
});
