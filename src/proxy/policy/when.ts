/** Minutes of a day, and of a week. */
export const DAY = 24 * 60;
const WEEK = 7 * DAY;

const MINUTE_MS = 60_000;

/** Hours of a week on the clocks of a time zone. */
export interface WeeklyHours {
  /** Minutes since Monday 00:00, each span from its first minute to before its last one. No span is longer than the week. */
  readonly spans: readonly (readonly [from: number, to: number])[];
  readonly clock: ZoneClock;
}

/** When a rule matches. All that is there must be met. */
export interface When {
  /** One of them must hold; undefined for all hours. */
  readonly hours?: readonly WeeklyHours[];
  /** The rule matches before this time, in milliseconds since the epoch; undefined for ever. */
  readonly until?: number;
}

/** The clock on the wall of a time zone. */
export class ZoneClock {
  readonly zone: string;
  readonly #format: Intl.DateTimeFormat;
  /** The last answer: asking the time zone costs microseconds, and many requests come in one minute. */
  #minute = NaN;
  #ofWeek = 0;

  /** Throws when there is no such time zone. */
  constructor(zone: string) {
    this.zone = zone;
    this.#format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      weekday: "short",
      hour: "2-digit",
      minute: "2-digit",
    });
  }

  /** Minutes since Monday 00:00 at a time in milliseconds since the epoch. Offsets of time zones are whole minutes. */
  minuteOfWeek(now: number): number {
    const minute = Math.floor(now / MINUTE_MS);
    if (minute !== this.#minute) {
      // Such as "Mon 08:30".
      const [, day = "", hours, minutes] = /^(\w{3})\D+(\d\d):(\d\d)/.exec(this.#format.format(now)) ?? [];
      this.#ofWeek = weekdays.indexOf(day.toLowerCase()) * DAY + Number(hours) * 60 + Number(minutes);
      this.#minute = minute;
    }
    return this.#ofWeek;
  }
}

/** Three letters each, the first day of the week first. */
export const weekdays: readonly string[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/** Whether a rule may match at `now`, in milliseconds since the epoch. */
export function isTime({ hours, until = Infinity }: When, now: number): boolean {
  return now < until && (hours === undefined || hours.some((each) => isWithin(each, now)));
}

function isWithin({ spans, clock }: WeeklyHours, now: number): boolean {
  const minute = clock.minuteOfWeek(now);
  return spans.some(([from, to]) => (minute >= from && minute < to) || minute + WEEK < to);
}

/** When the rules of a policy may begin or cease to match. */
export class Timetable {
  readonly #ends: readonly number[];
  readonly #hasHours: boolean;

  constructor(times: readonly When[]) {
    this.#ends = times.flatMap(({ until }) => until ?? []).sort((a, b) => a - b);
    this.#hasHours = times.some(({ hours }) => hours !== undefined);
  }

  /** No rule begins or ceases to match after `now` and before this time. Hours change with a minute. */
  nextChange(now: number): number {
    const end = this.#ends.find((each) => each > now) ?? Infinity;
    return this.#hasHours ? Math.min(end, (Math.floor(now / MINUTE_MS) + 1) * MINUTE_MS) : end;
  }
}
