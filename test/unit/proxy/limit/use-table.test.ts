import { describe, expect, test } from "bun:test";
import { Use } from "../../../../src/proxy/limit/use.ts";
import { UseTable } from "../../../../src/proxy/limit/use-table.ts";
import { collectUsageFamilies } from "../../../../src/sidecar/usage-families.ts";
import { compileForTest } from "../../../support/compile-for-test.ts";

const PERIOD = { day: 100, month: 90, dayEndsAt: 0, monthEndsAt: 0 };

describe("a table of uses", () => {
  test("keeps its size in a flood of new keys, and those that are active", () => {
    const table = new UseTable(64);
    const active = Array.from({ length: 8 }, (_, at) => table.open(`active ${at}`));
    for (let at = 0; at < 100_000; at += 1) {
      table.open(`flood ${at}`);
      if (at % 32 === 0) for (const use of active) use.add(PERIOD, 1, 1, 0);
    }
    expect(table.count).toBe(64);
    for (const use of active) expect(table.find(use.key)).toBe(use);
    expect(table.forgotten).toBe(100_000 - 64 + 8);
  });

  test("forgets nothing that must not be forgotten, and grows instead", () => {
    const table = new UseTable(4, ({ key }) => key.startsWith("held"));
    for (let at = 0; at < 20; at += 1) table.open(`held ${at}`);
    expect(table.count).toBe(20);
    for (let at = 0; at < 50; at += 1) table.open(`free ${at}`);
    for (let at = 0; at < 20; at += 1) expect(table.find(`held ${at}`)).toBeDefined();
    expect(table.count).toBeLessThan(30);
  });
});

describe("metrics of use", () => {
  const read = (user: UseTable) => {
    const tables = { user, client: new UseTable(1), target: new UseTable(1), upstream: new UseTable(1) };
    const limits = compileForTest({}).runtime.limits;
    const families = collectUsageFamilies({ tables, period: PERIOD, limits, keeper: undefined });
    const samples = families.find(({ name }) => name === "penstock_user_requests_total")?.samples ?? [];
    return new Map(samples.map(({ labels, value }) => [labels?.["user"] ?? "", value]));
  };

  test("have series of the users that came first, and one of the others, which never decreases in a flood", () => {
    const table = new UseTable(200);
    const use = (user: string) => table.open(user).add(PERIOD, 1, 1, 1);
    for (let at = 0; at < 150; at += 1) use(`early ${at}`);
    use("other");
    const before = read(table);
    expect([before.size, before.get("early 99"), before.get("early 100"), before.get("other")]).toEqual([
      101,
      1,
      undefined,
      51,
    ]);
    let [last, count] = [51, 151];
    for (let at = 0; at < 1000; at += 1) {
      use(`flood ${at}`);
      count += 1;
      const now = read(table);
      expect(now.size).toBeLessThanOrEqual(101);
      expect(now.get("other")).toBeGreaterThanOrEqual(last);
      expect(now.values().reduce((sum, value) => sum + value, 0)).toBe(count);
      last = now.get("other") ?? 0;
    }
  });
});

describe("a use", () => {
  test("sums up by day and month", () => {
    const use = new Use("ci");
    use.add({ ...PERIOD, day: 89, month: 60 }, 1, 2, 1);
    use.add({ ...PERIOD, day: 95 }, 10, 20, 1);
    use.add(PERIOD, 100, 200, 1);
    use.add(PERIOD, 1000, 0, 0);
    expect([use.dayBytes(PERIOD), use.monthBytes(PERIOD)]).toEqual([1300, 1330]);
    expect(use.since(89)).toEqual({ up: 1111, down: 222, requests: 3 });
    expect([use.dayBytes({ ...PERIOD, day: 101 }), use.monthBytes({ ...PERIOD, day: 101 })]).toEqual([0, 1330]);
    expect(use.monthBytes({ ...PERIOD, day: 121, month: 121 })).toBe(0);
  });

  test("sums up anew when a reload lets the month of the same day begin on another day", () => {
    const use = new Use("ci");
    const [late, early] = [{ ...PERIOD, month: 98 }, PERIOD];
    use.add({ ...PERIOD, day: 95 }, 10, 20, 1);
    use.add(late, 100, 200, 1);
    expect([late, early, late].map((period) => use.monthBytes(period))).toEqual([300, 330, 300]);
    use.add(early, 1, 0, 0);
    expect([use.monthBytes(early), use.dayBytes(early)]).toEqual([331, 301]);
  });

  test("knows what others have added to what it saved, and counts nothing twice", () => {
    const use = new Use("ci");
    use.add(PERIOD, 100, 50, 1);
    const sent = { up: 100, down: 50, requests: 1 };
    // It goes on while the write is under way, and another process has written 7.
    use.add(PERIOD, 3, 0, 0);
    use.save(100, { up: 107, down: 50, requests: 2 }, sent);
    expect(use.since(100)).toEqual({ up: 110, down: 50, requests: 2 });
    expect(use.unsavedSince(0)).toEqual({ up: 3, down: 0, requests: 0 });
    use.save(100, { up: 110, down: 50, requests: 2 }, { up: 3, down: 0, requests: 0 });
    expect(use.unsaved).toBe(false);
    expect(use.dayBytes(PERIOD)).toBe(160);
  });

  test("keeps no more days than a month has", () => {
    const use = new Use("ci");
    for (let day = 0; day < 100; day += 1) {
      use.add({ ...PERIOD, day }, 1, 0, 0);
      use.save(day, { up: 1, down: 0, requests: 0 }, { up: 1, down: 0, requests: 0 });
    }
    expect(use.days.length).toBeLessThanOrEqual(31);
    expect(use.days.at(-1)?.day).toBe(99);
  });
});
