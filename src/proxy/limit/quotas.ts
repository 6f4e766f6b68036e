import type { Failure } from "../failure.ts";
import { type Period, formatDay } from "./calendar.ts";
import { findUserShare, type Limits, type Quota } from "./limits.ts";
import type { QuotaClock } from "./quota-clock.ts";
import type { Use } from "./use.ts";
import type { Usage } from "./usage.ts";

/** What is known of the use of users. */
export type Knowledge =
  | { readonly kind: "whole" }
  /** It will be known, or never will for the periods that have begun. */
  | { readonly kind: "awaited" | "lost"; readonly period: Pick<Period, "day" | "month"> };

/** Seconds after which a client may ask again whose use is not known yet. */
const UNKNOWN_RETRY_SECONDS = 5;

/** Says which users have used up a quota. */
export class Quotas {
  readonly #usage: Usage;
  readonly #clock: QuotaClock;
  /** Until it is known who has used what, nobody with a quota is served. */
  knowledge: Knowledge = { kind: "whole" };
  /** Is told of a user of whom nothing is known here. */
  onUnknown: ((user: string) => void) | undefined = undefined;

  constructor(usage: Usage) {
    this.#usage = usage;
    this.#clock = usage.clock;
  }

  /** Whether the use of a day or month that goes on is not known. */
  get areBlind(): boolean {
    const { knowledge } = this;
    if (knowledge.kind === "whole") return false;
    const { day, month } = this.#clock.period;
    return knowledge.period.day === day || knowledge.period.month === month;
  }

  /** Why a user may not use more; undefined when there is no reason. */
  refuse(user: string | undefined, limits: Limits): Failure | undefined {
    if (user === undefined || !limits.hasQuotas) return undefined;
    const { quota } = findUserShare(limits, user);
    if (quota === undefined) return undefined;
    const { period } = this.#clock;
    const use = this.#usage.tables.user.find(user);
    if (use === undefined) this.onUnknown?.(user);
    return this.#findUnknown(quota, period) ?? (use && this.#findReachedNow(use, quota, period));
  }

  /** While the clock shows an earlier day than the one that goes on, one of them began by mistake: neither opens what the other closes. */
  #findReachedNow(use: Use, quota: Quota, period: Period): Failure | undefined {
    const { shown } = this.#clock;
    return this.#findReached(use, quota, period) ?? (shown && this.#findReached(use, quota, shown));
  }

  #findReached(use: Use, { day, month }: Quota, period: Period): Failure | undefined {
    // The month first: who waits for the next day alone would wait in vain.
    if (month !== undefined && use.monthBytes(period) >= month) return this.#tellReached("month", period.monthEndsAt);
    if (day !== undefined && use.dayBytes(period) >= day) return this.#tellReached("day", period.dayEndsAt);
    return undefined;
  }

  #tellReached(span: "day" | "month", endsAt: number): Failure {
    return {
      detail: "quota_exceeded",
      limit: `perUser.bytes.${span}`,
      retryAfterSeconds: this.#clock.secondsUntil(endsAt),
      note: `the quota of the ${span}, which ends at ${new Date(endsAt).toISOString()}`,
    };
  }

  #findUnknown({ day, month }: Quota, period: Period): Failure | undefined {
    const { knowledge } = this;
    if (knowledge.kind === "whole") return undefined;
    const ofDay = day !== undefined && knowledge.period.day === period.day;
    const ofMonth = month !== undefined && knowledge.period.month === period.month;
    if (!ofDay && !ofMonth) return undefined;
    const isAwaited = knowledge.kind === "awaited";
    return {
      detail: "quota_unknown",
      limit: `perUser.bytes.${ofMonth ? "month" : "day"}`,
      retryAfterSeconds: isAwaited
        ? UNKNOWN_RETRY_SECONDS
        : this.#clock.secondsUntil(ofMonth ? period.monthEndsAt : period.dayEndsAt),
      note: isAwaited
        ? "what was used is not known yet"
        : `the file of use of ${formatDay(knowledge.period.day)} was lost`,
    };
  }
}
