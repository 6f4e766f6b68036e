import { DAY, type WeeklyHours, weekdays, ZoneClock } from "../proxy/policy/when.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import { either, list, text } from "./fields.ts";
import { type Problem, quoteValue } from "./problem.ts";

type Read<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

const HOURS = '"Mon-Fri 08:00-18:00 Europe/Berlin"';

const day = "(?:mon|tue|wed|thu|fri|sat|sun)";
const days = `${day}(?:-${day})?`;
const time = "(?:[01]\\d|2[0-3]):[0-5]\\d|24:00";
const span = `(?:${time})-(?:${time})`;
const zone = "[A-Za-z][A-Za-z0-9_+/-]*|[+-]\\d\\d:\\d\\d";
const hoursForm = new RegExp(`^(?:(${days}(?:,${days})*) +)?(?:(${span}(?:,${span})*) +)?(${zone})$`, "i");
const daysOnly = new RegExp(`^${days}$`, "i");

/** Reads `Mon-Fri 08:00-12:00,13:00-18:00 Europe/Berlin`: days, times and a time zone. Without days it is every day, without times the whole day. */
export function parseHours(written: string): Read<WeeklyHours> {
  const [, dayList, spanList, zoneName] = hoursForm.exec(written) ?? [];
  if (zoneName === undefined || daysOnly.test(zoneName)) {
    const reason = new RegExp(`${days}$|\\d:\\d\\d$`, "i").test(written)
      ? `has no time zone. Add one, such as ${HOURS} or "... UTC"`
      : `is no time of the week. Write days, times and a time zone, such as ${HOURS}`;
    return { ok: false, reason };
  }
  const clock = readZone(zoneName);
  if (!clock.ok) return clock;
  if (dayList === undefined && spanList === undefined)
    return { ok: false, reason: `has neither days nor times. Write them, such as ${HOURS}` };
  const spans: [number, number][] = [];
  for (const each of (spanList ?? "00:00-24:00").split(",")) {
    const [from, to] = readSpan(each);
    if (from === to || from === DAY)
      return {
        ok: false,
        reason: `has the times ${quoteValue(each)}, which are no time at all. Write such as "08:00-18:00"`,
      };
    // The day is the one on which a night begins.
    for (const at of listDays(dayList ?? "mon-sun"))
      spans.push([at * DAY + from, at * DAY + (to < from ? to + DAY : to)]);
  }
  return { ok: true, value: { spans, clock: clock.value } };
}

function readSpan(written: string): [from: number, to: number] {
  const [from = 0, to = 0] = written.split("-").map((each) => {
    const [hours, minutes] = each.split(":");
    return Number(hours) * 60 + Number(minutes);
  });
  return [from, to];
}

function listDays(written: string): Set<number> {
  const found = new Set<number>();
  for (const range of written.toLowerCase().split(",")) {
    const [first = "", last = first] = range.split("-");
    const end = weekdays.indexOf(last);
    for (let at = weekdays.indexOf(first); ; at = (at + 1) % 7) {
      found.add(at);
      if (at === end) break;
    }
  }
  return found;
}

function readZone(name: string): Read<ZoneClock> {
  try {
    return { ok: true, value: new ZoneClock(name) };
  } catch {
    return {
      ok: false,
      reason: `names the time zone ${quoteValue(name)}, which is not known. Write one such as "Europe/Berlin", "UTC" or "+01:00"`,
    };
  }
}

const untilForm = new RegExp(
  `^(\\d{4}-\\d\\d-\\d\\d)(?:[T ](\\d\\d:\\d\\d(?::\\d\\d)?)(?=$|[Zz +-]))?(?: ?(Z|${zone}))?$`,
  "i",
);

/** Reads `2026-12-31`, which is to the end of that day, or `2026-12-31T18:00 Europe/Berlin`. Gives milliseconds since the epoch. */
export function parseUntil(written: string): Read<number> {
  const [, date, at, zoneName] = untilForm.exec(written) ?? [];
  if (date === undefined)
    return { ok: false, reason: 'is no date. Write one such as "2026-12-31" or "2026-12-31T18:00 Europe/Berlin"' };
  if (at !== undefined && zoneName === undefined)
    return {
      ok: false,
      reason: `has a time and no time zone. Add one, such as "${written}Z" or "${written} Europe/Berlin"`,
    };
  return readTime(date, at, zoneName);
}

/** Reads `2026-12-31T18:00 Europe/Berlin`, a time and its zone. Gives milliseconds since the epoch. */
export function parseTime(written: string): Read<number> {
  const [, date, at, zoneName] = untilForm.exec(written) ?? [];
  return date === undefined || at === undefined || zoneName === undefined
    ? { ok: false, reason: 'is no time with its zone. Write one such as "2026-12-31T18:00 Europe/Berlin"' }
    : readTime(date, at, zoneName);
}

function readTime(date: string, at: string | undefined, zoneName: string | undefined): Read<number> {
  const name = zoneName === undefined || /^z$/i.test(zoneName) ? "UTC" : zoneName;
  const clock = readZone(name);
  if (!clock.ok) return clock;
  try {
    const local = Temporal.PlainDateTime.from(`${date}T${at ?? "00:00"}`);
    // A time that clocks show twice is the first one, a time that they skip is the one after the gap.
    const zoned = (at === undefined ? local.add({ days: 1 }) : local).toZonedDateTime(name);
    return { ok: true, value: zoned.epochMilliseconds };
  } catch {
    return { ok: false, reason: "is not in the calendar. Write a date that there is" };
  }
}

function findFault<T>(parse: (written: string) => Read<T>): (written: string) => string | undefined {
  return (written) => {
    const read = parse(written);
    return read.ok ? undefined : read.reason;
  };
}

/** Hours of the week, one text or a list of them. */
export function weeklyHours() {
  const one = text(`hours such as ${HOURS}`, findFault(parseHours));
  return either(`hours such as ${HOURS}, or a list of them`, [one, list(one, "a list of hours")]);
}

/** The end of a rule. */
export function lastTime() {
  return text('a date such as "2026-12-31"', findFault(parseUntil));
}

/** Reads hours that the schema has accepted. */
export function compileHours(hours: string | readonly string[]): WeeklyHours[] {
  return (typeof hours === "string" ? [hours] : hours).map((each) => take(parseHours(each)));
}

/** Reads an end that the schema has accepted. */
export function compileUntil(until: string): number {
  return take(parseUntil(until));
}

/** Warns of rules that have ended. */
export function findExpiredRules({ rules }: Policy, now: number): Problem[] {
  return rules.flatMap(({ when }, at) =>
    when?.until === undefined || when.until > now
      ? []
      : {
          path: ["rules", at, "until"],
          message: `The rule ended at ${new Date(when.until).toISOString()} and matches no more. Take it out, or write a later time.`,
        },
  );
}

function take<T>(read: Read<T>): T {
  if (!read.ok) throw new Error(`A time that the schema should have refused ${read.reason}`);
  return read.value;
}
