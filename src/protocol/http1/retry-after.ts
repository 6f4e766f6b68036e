import { DATE, RETRY_AFTER } from "./field-names.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * Milliseconds that the sender of a response asks to wait for (RFC 9110 §10.2.3).
 * A date is compared with the `Date` of the response, since the clocks of two
 * machines may differ. Undefined without a field that can be read.
 */
export function findRetryAfter({ fields }: ResponseHead): number | undefined {
  const value = fields.getAll(RETRY_AFTER).at(-1);
  if (value === undefined) return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const until = readDate(value);
  const now = readDate(fields.getAll(DATE).at(-1));
  return until === undefined || now === undefined ? undefined : Math.max(0, until - now);
}

/** An HTTP-date in its preferred form (RFC 9110 §5.6.7). */
function readDate(value: string | undefined): number | undefined {
  if (value === undefined || !/^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/.test(value))
    return undefined;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}
