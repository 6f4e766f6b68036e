import type { Exchanged } from "../net/http/exchange.ts";

/** Milliseconds that a collector may ask us to wait at most. */
const MAX_RETRY_MS = 300_000;

/** Says why an export was not accepted, as the rest of a sentence; undefined when it was. Of the answer itself nothing is told. */
export function describeRefusal(posted: Exchanged): string | undefined {
  if (posted.kind === "failed") return posted.why;
  const { status } = posted;
  if (status >= 200 && status < 300) return undefined;
  const hint =
    status === 401 || status === 403
      ? '; see "telemetry.headers"'
      : status === 404 || status === 405 || status === 415
        ? '; "telemetry.otlp" must lead to a collector that takes OTLP over HTTP as JSON'
        : "";
  return `answered with ${status}${hint}`;
}

/** How many spans of an export that was accepted were not. */
export function readRejected(body: string): number {
  try {
    const answer: unknown = JSON.parse(body);
    const partial = readKey(answer, "partialSuccess");
    const rejected = Number(readKey(partial, "rejectedSpans"));
    return Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0;
  } catch {
    return 0;
  }
}

function readKey(value: unknown, key: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, key)?.value : undefined;
}

/** The pause that `Retry-After` asks for, in seconds or as a date; undefined without one. */
export function readRetryMs(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), MAX_RETRY_MS);
}
