import { DATE, RETRY_AFTER } from "./field-names.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * Milliseconds that the sender of a response asks to wait for (RFC 9110 §10.2.3).
 * A date is compared with the `Date` of the response, since the clocks of two
 * machines may differ, and without one with `now`, when it was received (§6.6.1).
 * Undefined without a field that can be read.
 */
export function findRetryAfter({ fields }: ResponseHead, now: number): number | undefined {
  const value = fields.getAll(RETRY_AFTER).at(-1);
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Number(value) * 1000;
  const until = readDate(value);
  return until === undefined ? undefined : Math.max(0, until - (readDate(fields.getAll(DATE).at(-1)) ?? now));
}

/** The forms of an HTTP-date: the preferred one, that of RFC 850, and that of asctime() (RFC 9110 §5.6.7). */
const dateForms = [
  /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{5,8}, \d\d-[A-Z][a-z]{2}-\d\d \d\d:\d\d:\d\d GMT$/,
  /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}$/,
];

function readDate(value: string | undefined): number | undefined {
  if (value === undefined || !dateForms.some((form) => form.test(value))) return undefined;
  const ms = Date.parse(value.endsWith("GMT") ? value : `${value} GMT`);
  return Number.isNaN(ms) ? undefined : ms;
}
