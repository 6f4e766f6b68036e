import type { RenewalWindow } from "./answers.ts";

/** The life of a certificate, in milliseconds since the epoch. */
export interface Life {
  readonly from: number;
  readonly to: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** No pause of `chooseBackOff` is as long. One that is was noted before the clock was set back. */
export const BEYOND_PAUSES_MS = 15 * DAY_MS;
/** No suggestion is waited for as long: the same. */
export const BEYOND_LOOKS_MS = 2 * DAY_MS;
/** Lives below that are short: half of one is kept for the next certificate. */
const SHORT_MS = 10 * DAY_MS;

/** When to renew, where the authority suggests nothing: after two thirds of a long life or half of a short one, give or take. `random` is from 0 to 1. */
export function chooseUsualTime({ from, to }: Life, random: number): number {
  const life = to - from;
  const part = life < SHORT_MS ? 1 / 2 : 2 / 3;
  return from + life * (part + (random - 0.5) * 0.04);
}

/**
 * A moment of the suggested window, each as likely as any other (RFC 9773 §4.2);
 * but the last sixth of the life is kept for attempts that fail.
 */
export function chooseSuggestedTime({ start, end }: RenewalWindow, { from, to }: Life, random: number): number {
  return Math.min(start + (end - start) * random, to - (to - from) / 6);
}

/** Before that no further certificate is ordered, whatever a server suggests for one that was just issued, or has it begin in the past. */
export function findEarliestTime({ from, to }: Life): number {
  return from + Math.max(Math.min((to - from) / 10, DAY_MS), 60_000);
}

/** Milliseconds until the suggestion is read again. RFC 9773 §4.3 has bounds set. */
export function chooseNextLook(retryAfterMs: number | undefined): number {
  return Math.min(Math.max(retryAfterMs ?? 6 * HOUR_MS, 60_000), DAY_MS);
}

/**
 * Milliseconds until the next order, after `failures` that followed each other: 5
 * minutes, then twice that, up to 12 hours; a server that is away is asked more
 * often. Let's Encrypt lets 5 orders an hour fail for a name. `random` is from 0 to 1.
 */
export function chooseBackOff(
  failures: number,
  isAway: boolean,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const [first, most] = isAway ? [60_000, HOUR_MS] : [300_000, 12 * HOUR_MS];
  const usual = Math.min(first * 2 ** Math.min(failures - 1, 20), most) * (0.8 + 0.4 * random);
  // A server that asks for a year would end renewals.
  const asked = Math.min(retryAfterMs ?? 0, 14 * DAY_MS);
  return asked > usual ? asked + usual * random * 0.1 : usual;
}
