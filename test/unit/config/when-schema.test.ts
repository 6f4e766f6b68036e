import { describe, expect, test } from "bun:test";
import { compileUntil, findExpiredRules, parseHours, parseTime, parseUntil } from "../../../src/config/when-schema.ts";
import { isTime, Timetable } from "../../../src/proxy/policy/when.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

function isWithin(hours: string, at: string): boolean {
  const read = parseHours(hours);
  if (!read.ok) throw new Error(`${hours} ${read.reason}`);
  return isTime({ hours: [read.value] }, Date.parse(at));
}

describe("hours", () => {
  test.each([
    // 2026-11-27 is a Friday, and Berlin is one hour ahead.
    ["Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-27T06:59:59Z", false],
    ["Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-27T07:00:00Z", true],
    ["Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-27T16:59:59Z", true],
    ["Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-27T17:00:00Z", false],
    ["Mon-Fri 08:00-18:00 Europe/Berlin", "2026-11-28T09:00:00Z", false],
    // Summer time is two hours ahead.
    ["mon-fri 08:00-18:00 europe/berlin", "2026-07-03T06:00:00Z", true],
    ["Mon-Fri 08:00-18:00 Europe/Berlin", "2026-07-03T16:00:00Z", false],
    // A day of the zone, not of UTC.
    ["Sat Asia/Tokyo", "2026-11-27T15:00:00Z", true],
    ["Sat Asia/Tokyo", "2026-11-28T15:00:00Z", false],
    ["Mon,Wed,Sat-Sun 10:00-11:00,12:00-13:00 UTC", "2026-11-29T12:30:00Z", true],
    ["Mon,Wed,Sat-Sun 10:00-11:00,12:00-13:00 UTC", "2026-11-29T11:30:00Z", false],
    ["Sat-Mon UTC", "2026-11-30T00:00:00Z", true],
    ["Sat-Mon UTC", "2026-12-01T00:00:00Z", false],
    ["00:00-24:00 +05:30", "2026-12-01T00:00:00Z", true],
    // A night belongs to the day on which it begins, also over the end of the week.
    ["Fri 22:00-06:00 UTC", "2026-11-28T05:59:00Z", true],
    ["Fri 22:00-06:00 UTC", "2026-11-27T05:59:00Z", false],
    ["Sun 22:00-06:00 UTC", "2026-11-30T05:59:00Z", true],
    ["Sun 22:00-06:00 UTC", "2026-11-30T06:00:00Z", false],
    // 02:30 does not exist on the day when summer time begins, and exists twice on the day when it ends.
    ["02:00-03:00 Europe/Berlin", "2026-03-29T00:59:00Z", false],
    ["02:00-03:00 Europe/Berlin", "2026-03-29T01:00:00Z", false],
    ["02:00-03:00 Europe/Berlin", "2026-10-25T00:30:00Z", true],
    ["02:00-03:00 Europe/Berlin", "2026-10-25T01:30:00Z", true],
    ["02:00-03:00 Europe/Berlin", "2026-10-25T02:00:00Z", false],
  ])("%s at %s: %p", (hours, at, expected) => {
    expect(isWithin(hours, at)).toBe(expected);
  });

  test.each([
    ["Mon-Fri 08:00-18:00", "has no time zone"],
    ["Mon-Fri", "has no time zone"],
    ["08:00-18:00", "has no time zone"],
    ["Mon-Fri 8-18 UTC", "is no time of the week"],
    ["Mon-Fri 08:00-25:00 UTC", "is no time of the week"],
    ["Mon-Fri 08:00-08:00 UTC", "are no time at all"],
    ["Mon-Fri 24:00-08:00 UTC", "are no time at all"],
    ["Monday 08:00-18:00 UTC", "is no time of the week"],
    ["Mon-Fri 08:00-18:00 Europe/Berlim", 'the time zone "Europe/Berlim", which is not known'],
    ["Europe/Berlin", "has neither days nor times"],
    ["", "is no time of the week"],
  ])("%p is refused: %s", (hours, reason) => {
    const read = parseHours(hours);
    expect(read.ok ? "" : read.reason).toContain(reason);
  });
});

describe("until", () => {
  test.each([
    ["2026-12-31", "2027-01-01T00:00:00.000Z"],
    ["2026-12-31 Europe/Berlin", "2026-12-31T23:00:00.000Z"],
    ["2026-12-31T18:00 Europe/Berlin", "2026-12-31T17:00:00.000Z"],
    ["2026-07-01 18:00:30 Europe/Berlin", "2026-07-01T16:00:30.000Z"],
    ["2026-12-31T18:00Z", "2026-12-31T18:00:00.000Z"],
    ["2026-12-31T18:00+01:00", "2026-12-31T17:00:00.000Z"],
    // Skipped by the clocks, and shown twice.
    ["2026-03-29T02:30 Europe/Berlin", "2026-03-29T01:30:00.000Z"],
    ["2026-10-25T02:30 Europe/Berlin", "2026-10-25T00:30:00.000Z"],
  ])("%s is until %s", (written, expected) => {
    const read = parseUntil(written);
    expect(read.ok && new Date(read.value).toISOString()).toBe(expected);
  });

  test.each([
    ["2026-12-31T18:00", "has a time and no time zone"],
    ["2026-02-30", "is not in the calendar"],
    ["2026-12-31T25:00Z", "is not in the calendar"],
    ["31.12.2026", "is no date"],
    ["2026-12-31 Mars/Base", "which is not known"],
  ])("%p is refused: %s", (written, reason) => {
    const read = parseUntil(written);
    expect(read.ok ? "" : read.reason).toContain(reason);
  });

  test("ends with the last moment before it", () => {
    const until = compileUntil("2026-12-31");
    expect([isTime({ until }, until - 1), isTime({ until }, until)]).toEqual([true, false]);
  });
});

test("parseTime() wants a time and a zone", () => {
  expect(parseTime("2026-12-31T18:00 Europe/Berlin")).toEqual({ ok: true, value: Date.parse("2026-12-31T17:00Z") });
  expect(parseTime("2026-12-31").ok).toBe(false);
});

test("findExpiredRules() names the rules that have ended", () => {
  const { runtime } = compileForTest({
    rules: [
      { to: ["a.test"], allow: true, until: "2026-01-01" },
      { to: ["b.test"], allow: true, until: "2026-03-01" },
      { to: ["c.test"], allow: true },
    ],
  });
  expect(findExpiredRules(runtime.policy, Date.parse("2026-02-01"))).toEqual([
    {
      path: ["rules", 0, "until"],
      message: "The rule ended at 2026-01-02T00:00:00.000Z and matches no more. Take it out, or write a later time.",
    },
  ]);
});

test("a timetable gives the next minute when a rule has hours, and the next end of a rule", () => {
  const hours = parseHours("Mon UTC");
  const now = Date.parse("2026-11-28T10:00:30Z");
  const ends = [now - 1, now + 5, now + 90_000].map((until) => ({ until }));
  expect(new Timetable(ends).nextChange(now)).toBe(now + 5);
  expect(new Timetable(ends).nextChange(now + 5)).toBe(now + 90_000);
  expect(new Timetable(ends).nextChange(now + 90_000)).toBe(Infinity);
  const timed = new Timetable([...ends, ...(hours.ok ? [{ hours: [hours.value] }] : [])]);
  expect(timed.nextChange(now + 5)).toBe(Date.parse("2026-11-28T10:01:00Z"));
});
