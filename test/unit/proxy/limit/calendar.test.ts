import { describe, expect, test } from "bun:test";
import { Calendar, formatDay } from "../../../../src/proxy/limit/calendar.ts";

const HOUR = 3_600_000;

function open(timeZone: string, monthStart = 1) {
  const calendar = new Calendar({ timeZone, monthStart });
  return (time: string) => {
    const { day, month, dayEndsAt, monthEndsAt } = calendar.periodAt(Date.parse(time));
    return [formatDay(day), formatDay(month), new Date(dayEndsAt).toISOString(), new Date(monthEndsAt).toISOString()];
  };
}

describe("a calendar", () => {
  test("of UTC begins days at midnight and months on the first", () => {
    const at = open("UTC");
    expect(at("2026-11-28T23:59:59.999Z")).toEqual([
      "2026-11-28",
      "2026-11-01",
      "2026-11-29T00:00:00.000Z",
      "2026-12-01T00:00:00.000Z",
    ]);
    expect(at("2026-12-01T00:00:00.000Z").slice(0, 2)).toEqual(["2026-12-01", "2026-12-01"]);
    expect(at("2026-12-31T12:00:00Z")[3]).toBe("2027-01-01T00:00:00.000Z");
    expect(at("1969-12-31T12:00:00Z")[0]).toBe("1969-12-31");
  });

  test("of a zone begins days at its midnight", () => {
    const at = open("Asia/Tokyo");
    expect(at("2026-11-28T14:59:59.999Z")[0]).toBe("2026-11-28");
    expect(at("2026-11-28T15:00:00Z").slice(0, 3)).toEqual(["2026-11-29", "2026-11-01", "2026-11-29T15:00:00.000Z"]);
  });

  test.each([
    ["2026-03-29", "2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z", 23],
    ["2026-10-25", "2026-10-24T22:00:00.000Z", "2026-10-25T23:00:00.000Z", 25],
  ])("has %s with as many hours as daylight saving leaves it", (date, begins, ends, hours) => {
    const calendar = new Calendar({ timeZone: "Europe/Berlin", monthStart: 1 });
    const day = calendar.dayAt(Date.parse(`${date}T12:00:00Z`));
    const [from, to] = [calendar.beginOf(day), calendar.beginOf(day + 1)];
    expect([formatDay(day), new Date(from).toISOString(), new Date(to).toISOString()]).toEqual([date, begins, ends]);
    expect((to - from) / HOUR).toBe(hours);
    expect([calendar.dayAt(to - 1), calendar.dayAt(to)]).toEqual([day, day + 1]);
  });

  test("begins a day without midnight at its first hour", () => {
    // Beirut went from 23:59:59 to 01:00 on 2021-03-28.
    expect(open("Asia/Beirut")("2021-03-27T12:00:00Z")[2]).toBe("2021-03-27T22:00:00.000Z");
    const calendar = new Calendar({ timeZone: "Asia/Beirut", monthStart: 1 });
    expect(formatDay(calendar.dayAt(Date.parse("2021-03-27T22:00:00Z")))).toBe("2021-03-28");
  });

  test("goes on where a zone skips a whole day", () => {
    // Samoa had no 2011-12-30.
    const calendar = new Calendar({ timeZone: "Pacific/Apia", monthStart: 1 });
    const { day, dayEndsAt } = calendar.periodAt(Date.parse("2011-12-30T05:00:00Z"));
    expect(formatDay(day)).toBe("2011-12-29");
    expect(formatDay(calendar.dayAt(dayEndsAt))).toBe("2011-12-31");
    expect(formatDay(calendar.dayAt(dayEndsAt - 1))).toBe("2011-12-29");
  });

  test.each([
    ["2026-11-14T12:00:00Z", "2026-10-15", "2026-11-15T00:00:00.000Z"],
    ["2026-11-15T00:00:00Z", "2026-11-15", "2026-12-15T00:00:00.000Z"],
    ["2026-01-03T12:00:00Z", "2025-12-15", "2026-01-15T00:00:00.000Z"],
    ["2025-12-15T12:00:00Z", "2025-12-15", "2026-01-15T00:00:00.000Z"],
  ])("with months from the 15th on has %s in the month of %s", (time, month, ends) => {
    const [, found, , endsAt] = open("UTC", 15)(time);
    expect([found, endsAt]).toEqual([month, ends]);
  });

  test("has every month begin on the 28th, February too", () => {
    expect(open("UTC", 28)("2026-02-28T00:00:00Z").slice(1)).toEqual([
      "2026-02-28",
      "2026-03-01T00:00:00.000Z",
      "2026-03-28T00:00:00.000Z",
    ]);
  });
});
