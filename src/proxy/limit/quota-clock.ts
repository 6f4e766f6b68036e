import type { Tell } from "../../operator-message.ts";
import { Calendar, type CalendarPlan, formatDay, type Period } from "./calendar.ts";

/** The clocks of the system, in milliseconds. */
export interface Clocks {
  /** Since the epoch. It may be set. */
  readonly wall: () => number;
  /** Never set. */
  readonly monotonic: () => number;
}

/** Milliseconds by which the clock may be set at once: it is followed without doubt. */
const SMALL_STEP_MS = 60_000;
/** Part of a time by which the system may speed up or slow down its clock. */
const SLEW = 0.001;
/** Milliseconds for which a clock that was set ahead has to stay there before a day begins by it. */
const DOUBT_MS = 10 * 60_000;
/** Milliseconds after which a day that the clock has not reached again is given up: it was set far ahead for long. */
const HOLD_MS = 24 * 3_600_000;

/** Milliseconds for which `shown` believes what it has found: to find it takes a while in some time zones. */
const SHOWN_MS = 1000;
/** Milliseconds for which `recentPeriod` believes what it has found. */
const RECENT_MS = 50;

/**
 * Tells the day and month that use counts in. A clock that is set ahead begins no
 * day before it has stayed there for ten minutes; a day that has begun goes on
 * when the clock is set back. So a wrong clock opens no quota that was reached.
 */
export class QuotaClock {
  readonly #clocks: Clocks;
  readonly #tell: Tell;
  #calendar: Calendar;
  #plan: CalendarPlan;
  #wall: number;
  #monotonic: number;
  /** Milliseconds that the clock is ahead of the time that is followed. */
  #ahead = 0;
  /** Monotonic milliseconds since when it is ahead. */
  #aheadSince: number | undefined;
  #period: Period;
  /** Monotonic milliseconds. */
  #recentUntil = -Infinity;
  /** Monotonic milliseconds since when the clock shows an earlier day. */
  #heldSince: number | undefined;
  /** What the clock showed when it was last asked for that, and the monotonic milliseconds of that. */
  #shown: { readonly period: Period; readonly at: number } | undefined;

  constructor(plan: CalendarPlan, clocks: Clocks, tell: Tell = () => {}) {
    this.#clocks = clocks;
    this.#tell = tell;
    this.#plan = plan;
    this.#calendar = new Calendar(plan);
    this.#wall = clocks.wall();
    this.#monotonic = clocks.monotonic();
    this.#period = this.#calendar.periodAt(this.#wall);
  }

  /** The day and month now. */
  get period(): Period {
    const now = this.now();
    if (now >= this.#period.dayEndsAt) {
      this.#period = this.#calendar.periodAt(now);
      this.#heldSince = undefined;
    } else if (this.#heldSince !== undefined) this.#lookAtHeld(now);
    return this.#period;
  }

  /** The day and month that the clock shows, as of the last second, while a later day goes on; undefined while it does not. */
  get shown(): Period | undefined {
    if (this.#heldSince === undefined) return undefined;
    if (this.#shown === undefined || this.#monotonic - this.#shown.at >= SHOWN_MS)
      this.#shown = { period: this.#calendar.periodAt(this.now()), at: this.#monotonic };
    return this.#shown.period;
  }

  /** The day and month now, or as they were within the last 50 ms: reading two clocks costs more than counting. */
  recentPeriod(monotonic: number): Period {
    if (monotonic < this.#recentUntil) return this.#period;
    this.#recentUntil = monotonic + RECENT_MS;
    return this.period;
  }

  /** The time that is followed, in milliseconds since the epoch. */
  now(): number {
    const wall = this.#clocks.wall();
    const monotonic = this.#clocks.monotonic();
    const elapsed = monotonic - this.#monotonic;
    const step = wall - this.#wall - elapsed;
    this.#wall = wall;
    this.#monotonic = monotonic;
    if (Math.abs(step) > SMALL_STEP_MS + elapsed * SLEW) this.#doubt(step);
    if (this.#aheadSince !== undefined && monotonic - this.#aheadSince >= DOUBT_MS) {
      this.#ahead = 0;
      this.#aheadSince = undefined;
      this.#tell("The clock has stayed where it was set. Days and months of quotas follow it now.", "warn");
    }
    return wall - this.#ahead;
  }

  /** The day of a time, in milliseconds since the epoch. */
  dayAt(at: number): number {
    return this.#calendar.dayAt(at);
  }

  /** Seconds until a time since the epoch, at least 1. */
  secondsUntil(at: number): number {
    return Math.max(1, Math.ceil((at - this.now()) / 1000));
  }

  /** Counts by another calendar from now on. A day that has begun goes on. */
  use(plan: CalendarPlan): void {
    if (plan.timeZone === this.#plan.timeZone && plan.monthStart === this.#plan.monthStart) return;
    this.#plan = plan;
    this.#calendar = new Calendar(plan);
    this.#hold(Math.max(this.#period.day, this.#calendar.dayAt(this.now())));
  }

  /** A day that had begun before this process did, or where another process counts. */
  reach(day: number): void {
    if (day > this.period.day) this.#hold(day);
  }

  #hold(day: number): void {
    const now = this.now();
    this.#period = this.#calendar.periodOf(day);
    this.#heldSince = this.#calendar.dayAt(now) < day ? this.#monotonic : undefined;
    if (this.#heldSince !== undefined) this.#tellHeld();
  }

  #doubt(step: number): void {
    const before = this.#ahead;
    const ahead = before + step;
    // It was behind the day that goes on, and has come to it: that begins no day.
    const isPutRight =
      this.#heldSince !== undefined && before === 0 && this.#calendar.dayAt(this.#wall) === this.#period.day;
    this.#ahead = ahead > SMALL_STEP_MS && !isPutRight ? ahead : 0;
    this.#aheadSince = this.#ahead === 0 ? undefined : (this.#aheadSince ?? this.#monotonic);
    if (step > 0 && this.#ahead > 0)
      this.#tell(
        `The clock was set ${Math.round(step / 1000)} s ahead. Days and months of quotas follow it in ${DOUBT_MS / 60_000} minutes if it stays there.`,
        "warn",
      );
    else if ((before > 0 || isPutRight) && this.#ahead === 0)
      this.#tell("The clock is back. Quotas were not touched.", "info");
    if (this.#heldSince === undefined && this.#calendar.dayAt(this.#wall - this.#ahead) < this.#period.day) {
      this.#heldSince = this.#monotonic;
      this.#tellHeld();
    }
  }

  #tellHeld(): void {
    this.#tell(
      `The clock shows an earlier day than ${formatDay(this.#period.day)}, for which use was counted already. That day goes on until the clock has passed it, or for 24 hours.`,
      "warn",
    );
  }

  #lookAtHeld(now: number): void {
    const isBack = this.#calendar.dayAt(now) >= this.#period.day;
    if (isBack) this.#heldSince = undefined;
    else if (this.#monotonic - (this.#heldSince ?? 0) >= HOLD_MS) {
      this.#heldSince = undefined;
      this.#period = this.#calendar.periodAt(now);
      this.#tell(`Quotas follow the clock again: the day is ${formatDay(this.#period.day)}.`, "info");
    }
  }
}
