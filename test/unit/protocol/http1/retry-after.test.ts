import { expect, test } from "bun:test";
import { createResponseHeadParser } from "../../../../src/protocol/http1/response-head.ts";
import { findRetryAfter } from "../../../../src/protocol/http1/retry-after.ts";

function read(fields: string): number | undefined {
  const parser = createResponseHeadParser({ maxBytes: 4096, maxFields: 20 });
  const parsed = parser.parse(Buffer.from(`HTTP/1.1 429 No\r\n${fields}\r\n`, "latin1"));
  if (parsed.kind !== "done") throw new Error("The head is malformed");
  return findRetryAfter(parsed.value);
}

const now = "Date: Sat, 28 Nov 2026 12:00:00 GMT\r\n";

test.each([
  ["", undefined],
  ["Retry-After: 120\r\n", 120_000],
  ["Retry-After: 0\r\n", 0],
  ["Retry-After: -1\r\n", undefined],
  ["Retry-After: soon\r\n", undefined],
  ["Retry-After: 99999999999999999999\r\n", undefined],
  [`Retry-After: Sat, 28 Nov 2026 12:00:30 GMT\r\n${now}`, 30_000],
  [`Retry-After: Sat, 28 Nov 2026 11:00:00 GMT\r\n${now}`, 0],
  // Without the clock of the sender a date says nothing.
  ["Retry-After: Sat, 28 Nov 2026 12:00:30 GMT\r\n", undefined],
])("findRetryAfter() reads %j as %p ms", (fields, ms) => {
  expect(read(fields)).toBe(ms as never);
});
