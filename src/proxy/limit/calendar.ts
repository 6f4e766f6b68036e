/** Where days and months begin. */
export interface CalendarPlan {
  /** IANA name of a time zone, or `UTC`. */
  readonly timeZone: string;
  /** The day on which a month begins, from 1 to 28. */
  readonly monthStart: number;
}

/** A day, and the month that it is in. Days are numbered by their date: 0 is 1970-01-01. */
export interface Period {
  readonly day: number;
  /** The day with which the month begins. */
  readonly month: number;
  /** When the next day and the next month begin, in milliseconds since the epoch. */
  readonly dayEndsAt: number;
  readonly monthEndsAt: number;
}

const DAY_MS = 86_400_000;

/**
 * Days and months of a time zone. A day has 23 or 25 hours when daylight saving
 * begins or ends in it, and begins later than midnight where there is no midnight.
 */
export class Calendar {
  readonly #monthStart: number;
  /** Undefined for UTC, which needs none. */
  readonly #format: Intl.DateTimeFormat | undefined;

  constructor({ timeZone, monthStart }: CalendarPlan) {
    this.#monthStart = monthStart;
    this.#format =
      timeZone === "UTC"
        ? undefined
        : new Intl.DateTimeFormat("en-US", {
            timeZone,
            year: "numeric",
            month: "numeric",
            day: "numeric",
            era: "short",
          });
  }

  /** The period of a time, in milliseconds since the epoch. */
  periodAt(at: number): Period {
    return this.periodOf(this.dayAt(at));
  }

  /** The period of a day. */
  periodOf(day: number): Period {
    const { month, next } = this.#monthOf(day);
    return { day, month, dayEndsAt: this.beginOf(day + 1), monthEndsAt: this.beginOf(next) };
  }

  /** The day of a time. */
  dayAt(at: number): number {
    if (this.#format === undefined) return Math.floor(at / DAY_MS);
    const parts = { year: 0, month: 0, day: 0 };
    for (const { type, value } of this.#format.formatToParts(at))
      if (type === "year" || type === "month" || type === "day") parts[type] = Number(value);
    return Math.round(Date.UTC(parts.year, parts.month - 1, parts.day) / DAY_MS);
  }

  /** The first millisecond of a day, or of the one after it where a zone skips the day. */
  beginOf(day: number): number {
    const utc = day * DAY_MS;
    if (this.#format === undefined) return utc;
    // Local dates never decrease by more than the hour of a night, which stays in one day.
    let [before, at] = [utc - DAY_MS, utc + DAY_MS];
    while (at - before > 1) {
      const middle = Math.floor((before + at) / 2);
      if (this.dayAt(middle) < day) before = middle;
      else at = middle;
    }
    return at;
  }

  #monthOf(day: number): { month: number; next: number } {
    const date = new Date(day * DAY_MS);
    const late = date.getUTCDate() >= this.#monthStart ? 0 : -1;
    const begin = (months: number) =>
      Math.round(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + late + months, this.#monthStart) / DAY_MS);
    return { month: begin(0), next: begin(1) };
  }
}

/** The date of a day: `2026-11-28`. */
export function formatDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
