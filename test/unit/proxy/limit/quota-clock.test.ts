import { describe, expect, test } from "bun:test";
import { formatDay } from "../../../../src/proxy/limit/calendar.ts";
import { QuotaClock } from "../../../../src/proxy/limit/quota-clock.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** A machine whose clock can be set. */
function openMachine(start: string, timeZone = "UTC") {
  const machine = { wall: Date.parse(start), monotonic: 1000 };
  const told: string[] = [];
  const clocks = { wall: () => machine.wall, monotonic: () => machine.monotonic };
  const clock = new QuotaClock({ timeZone, monthStart: 1 }, clocks, (message) => told.push(message));
  return {
    told,
    clock,
    day: () => formatDay(clock.period.day),
    /** Time passes. */
    pass(ms: number) {
      machine.wall += ms;
      machine.monotonic += ms;
    },
    /** Somebody sets the clock. */
    set(ms: number) {
      machine.wall += ms;
    },
  };
}

describe("the clock of quotas", () => {
  test("begins a day at midnight, and says how long it takes until then", () => {
    const machine = openMachine("2026-11-28T23:59:00.500Z");
    expect(machine.clock.secondsUntil(machine.clock.period.dayEndsAt)).toBe(60);
    machine.pass(59_499);
    expect(machine.day()).toBe("2026-11-28");
    expect(machine.clock.secondsUntil(machine.clock.period.dayEndsAt)).toBe(1);
    machine.pass(1);
    expect(machine.day()).toBe("2026-11-29");
    expect(machine.told).toEqual([]);
  });

  test("begins no day when the clock is set a day ahead and back", () => {
    const machine = openMachine("2026-11-28T12:00:00Z");
    machine.set(DAY);
    expect(machine.day()).toBe("2026-11-28");
    machine.pass(5 * MINUTE);
    expect(machine.day()).toBe("2026-11-28");
    machine.set(-DAY);
    machine.pass(HOUR);
    expect(machine.day()).toBe("2026-11-28");
    expect(machine.told).toEqual([
      "The clock was set 86400 s ahead. Days and months of quotas follow it in 10 minutes if it stays there.",
      "The clock is back. Quotas were not touched.",
    ]);
    machine.pass(11 * HOUR - 5 * MINUTE);
    expect(machine.day()).toBe("2026-11-29");
  });

  test("still begins a day by itself while it doubts the clock", () => {
    const machine = openMachine("2026-11-28T23:58:00Z");
    machine.set(3 * DAY);
    expect(machine.day()).toBe("2026-11-28");
    machine.pass(2 * MINUTE);
    expect(machine.day()).toBe("2026-11-29");
  });

  test("follows a clock that stays where it was set", () => {
    const machine = openMachine("2026-11-28T12:00:00Z");
    machine.set(DAY);
    expect(machine.day()).toBe("2026-11-28");
    machine.pass(10 * MINUTE);
    expect(machine.day()).toBe("2026-11-29");
    expect(machine.told.at(-1)).toBe("The clock has stayed where it was set. Days and months of quotas follow it now.");
  });

  test("lets no day begin twice when the clock is set back", () => {
    const machine = openMachine("2026-11-29T00:00:01Z");
    expect(machine.day()).toBe("2026-11-29");
    machine.set(-DAY);
    expect(machine.day()).toBe("2026-11-29");
    machine.pass(23 * HOUR);
    expect(machine.day()).toBe("2026-11-29");
    expect(machine.told).toHaveLength(1);
    expect(machine.told[0]).toStartWith("The clock shows an earlier day than 2026-11-29");
  });

  test("follows a clock at once that was behind its day and is put right", () => {
    const machine = openMachine("2026-11-27T12:00:00Z");
    machine.clock.reach(Math.floor(Date.parse("2026-11-28T00:00:00Z") / DAY));
    expect(machine.day()).toBe("2026-11-28");
    expect(machine.clock.secondsUntil(machine.clock.period.dayEndsAt)).toBe((36 * HOUR) / 1000);
    machine.set(DAY);
    expect(machine.day()).toBe("2026-11-28");
    expect(machine.clock.secondsUntil(machine.clock.period.dayEndsAt)).toBe((12 * HOUR) / 1000);
    expect(machine.told.slice(1)).toEqual(["The clock is back. Quotas were not touched."]);
    // A day that it has not reached yet is doubted as ever.
    machine.set(DAY);
    expect(machine.day()).toBe("2026-11-28");
  });

  test("gives up a day that was reached long before it is due, after 24 hours", () => {
    const machine = openMachine("2026-11-28T12:00:00Z");
    machine.clock.reach(Date.parse("2036-01-01T00:00:00Z") / DAY);
    machine.pass(23 * HOUR);
    expect(machine.day()).toBe("2036-01-01");
    machine.pass(HOUR);
    expect(machine.day()).toBe("2026-11-29");
  });

  test("takes a day from another process that has begun it already", () => {
    const machine = openMachine("2026-11-28T23:59:59.990Z");
    machine.clock.reach(Date.parse("2026-11-29T00:00:00Z") / DAY);
    expect(machine.day()).toBe("2026-11-29");
    machine.pass(HOUR);
    expect(machine.day()).toBe("2026-11-29");
    machine.pass(DAY);
    expect(machine.day()).toBe("2026-11-30");
  });

  test("follows small corrections, and a clock that runs a little fast, at once", () => {
    const machine = openMachine("2026-11-28T23:58:00Z");
    machine.set(50_000);
    machine.pass(10_000);
    expect(machine.day()).toBe("2026-11-28");
    machine.set(60_000);
    expect(machine.day()).toBe("2026-11-29");
    machine.pass(23 * HOUR);
    machine.set(70_000);
    machine.pass(HOUR - 70_000);
    expect(machine.day()).toBe("2026-11-30");
    expect(machine.told).toEqual([]);
  });

  test("keeps a day that has begun when the time zone changes", () => {
    const machine = openMachine("2026-11-28T20:00:00Z", "Asia/Tokyo");
    expect(machine.day()).toBe("2026-11-29");
    machine.clock.use({ timeZone: "UTC", monthStart: 1 });
    expect(machine.day()).toBe("2026-11-29");
    machine.clock.use({ timeZone: "Pacific/Kiritimati", monthStart: 1 });
    expect(machine.day()).toBe("2026-11-29");
  });
});
