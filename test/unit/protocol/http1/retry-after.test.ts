import { expect, test } from "bun:test";
import { createResponseHeadParser } from "../../../../src/protocol/http1/response-head.ts";
import { findRetryAfter } from "../../../../src/protocol/http1/retry-after.ts";

function read(fields: string): number | undefined {
  const parser = createResponseHeadParser({ maxBytes: 4096, maxFields: 20 });
  const parsed = parser.parse(Buffer.from(`HTTP/1.1 429 No\r\n${fields}\r\n`, "latin1"));
  if (parsed.kind !== "done") throw new Error("The head is malformed");
  return findRetryAfter(parsed.value, received);
}

/** When the response was received, by our clock. */
const received = Date.UTC(2026, 10, 28, 12, 0, 10);
const now = "Date: Sat, 28 Nov 2026 12:00:00 GMT\r\n";

test.each([
  ["", undefined],
  ["Retry-After: 120\r\n", 120_000],
  ["Retry-After: 0\r\n", 0],
  ["Retry-After: -1\r\n", undefined],
  ["Retry-After: soon\r\n", undefined],
  ["Retry-After: 9999999999\r\n", 9_999_999_999_000],
  [`Retry-After: ${"9".repeat(400)}\r\n`, Infinity],
  ["Retry-After: 1.5\r\n", undefined],
  [`Retry-After: Sat, 28 Nov 2026 12:00:30 GMT\r\n${now}`, 30_000],
  [`Retry-After: Sat, 28 Nov 2026 11:00:00 GMT\r\n${now}`, 0],
  // Without the clock of the sender ours counts.
  ["Retry-After: Sat, 28 Nov 2026 12:00:30 GMT\r\n", 20_000],
  [`Retry-After: Sat, 28 Nov 2026 12:00:30 GMT\r\nDate: today\r\n`, 20_000],
  // The forms of old senders.
  ["Retry-After: Saturday, 28-Nov-26 12:00:30 GMT\r\n", 20_000],
  ["Retry-After: Sat Nov 28 12:00:30 2026\r\n", 20_000],
  ["Retry-After: Tue Dec  1 12:00:10 2026\r\n", 259_200_000],
  ["Retry-After: 2026-11-28T12:00:30Z\r\n", undefined],
  ["Retry-After: Sat, 99 Nov 2026 12:00:30 GMT\r\n", undefined],
])("findRetryAfter() reads %j as %p ms", (fields, ms) => {
  expect(read(fields)).toBe(ms as never);
});
