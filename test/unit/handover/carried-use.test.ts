import { describe, expect, test } from "bun:test";
import { carryUse } from "../../../src/handover/carried-use.ts";
import { QuotaClock } from "../../../src/proxy/limit/quota-clock.ts";
import { Usage } from "../../../src/proxy/limit/usage.ts";
import type { Use } from "../../../src/proxy/limit/use.ts";

/** A process that counts use and cannot keep it, or has no fault. */
function openProcess(fault?: string) {
  const clocks = { wall: () => Date.parse("2026-11-28T12:00:00Z"), monotonic: () => 1000 };
  const clock = new QuotaClock({ timeZone: "UTC", monthStart: 1 }, clocks);
  const usage = new Usage({ clock });
  const unsaved = new Set<Use>();
  usage.unsaved = unsaved;
  const status = { fault };
  const flushed: number[] = [];
  const flush = (ms: number) => Promise.resolve(void flushed.push(ms));
  const listUnsaved = () =>
    Array.from(unsaved).flatMap((use) =>
      use.days.map(({ day, unsavedUp: up, unsavedDown: down, unsavedRequests: requests }) => ({
        use,
        day,
        up,
        down,
        requests,
      })),
    );
  const { period } = clock;
  return {
    status,
    flushed,
    unsaved,
    carried: carryUse({ usage, keeper: { status, flush, listUnsaved } }),
    /** Counts what is not kept yet. */
    count(user: string, up: number, down: number) {
      const use = usage.tables.user.open(user);
      use.add(period, up, down, 1);
      unsaved.add(use);
    },
    used: (user: string) => {
      const use = usage.tables.user.find(user);
      return use && [use.dayBytes(period), use.monthBytes(period), use.ownBytes("day", period)];
    },
    days: (user: string) => usage.tables.user.find(user)?.days,
  };
}

describe("carried use", () => {
  test("is known in the next process, and is its own to keep only when the first one is done", () => {
    const [old, next] = [openProcess("the disk is full"), openProcess()];
    old.count("ann", 10, 20);
    expect(next.carried.restore(old.carried.save(), 0)).toBe(true);
    expect([next.used("ann"), next.unsaved.size]).toEqual([[30, 30, 0], 0]);
    old.count("ann", 1, 2);
    old.count("bob", 5, 0);
    expect(next.carried.restore(old.carried.save("offer"), 0)).toBe(true);
    expect([next.used("ann"), next.used("bob")]).toEqual([
      [33, 33, 33],
      [5, 5, 5],
    ]);
    expect(next.days("ann")).toMatchObject([{ unsavedUp: 11, unsavedDown: 22, unsavedRequests: 2 }]);
    expect(Array.from(next.unsaved, ({ key }) => key).sort()).toEqual(["ann", "bob"]);
    // It is as if the old one had kept it: nothing is written twice.
    expect([old.unsaved.size, old.used("ann")?.[0], old.days("ann")?.[0]?.unsaved]).toEqual([0, 33, false]);
    expect(old.carried.save("offer")).toEqual({ isLast: true, rows: [] });
  });

  test("is that which a last try could not keep; without a fault nothing is offered", async () => {
    const [old, next] = [openProcess(), openProcess()];
    old.count("ann", 10, 20);
    expect(old.carried.save()).toEqual({ isLast: false, rows: [] });
    await old.carried.settle?.();
    expect(old.flushed).toHaveLength(1);
    expect(next.carried.restore(old.carried.save("offer"), 0)).toBe(true);
    expect(next.used("ann")).toEqual([30, 30, 30]);
  });

  test("that is not understood changes nothing", () => {
    const next = openProcess();
    for (const value of [null, {}, { isLast: true, rows: [["ann", 1]] }, { isLast: 1, rows: [] }, { rows: [] }])
      expect(next.carried.restore(value, 0)).toBe(false);
    expect(next.carried.restore({ isLast: true, rows: [["ann", 20_000, -1, 0, 0]] }, 0)).toBe(false);
    expect(next.used("ann")).toBeUndefined();
  });
});
