import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatJsonLine, formatTextLine } from "../../src/proxy/record/access-line.ts";
import { buildAccessRecord } from "../../src/proxy/record/access-record.ts";
import { makeRequestRecord } from "../support/make-record.ts";

/** Whatever a peer may get into a record, broken UTF-16 included. */
const anyText = fc
  .string({ unit: "binary", maxLength: 700 })
  .chain((text) => fc.constantFrom(text, `${text}\ud800`, `\udc00${text}`, `\u202e${text}\u0000`));

function recordWith(text: string) {
  const session = makeRequestRecord({
    user: text,
    method: text,
    decision: { verdict: "deny", rule: text, detail: "denied_by_rule" },
    failure: { detail: "upstream_refused", note: text, nextHop: text },
  });
  return buildAccessRecord(session, session.stageSince);
}

describe("access lines", () => {
  test("hold no character that a terminal or a log reader acts upon", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const record = recordWith(text);
        for (const line of [formatJsonLine(record), formatTextLine(record)]) {
          expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
        }
      }),
      { numRuns: 500 },
    );
  });

  test("give a short value back as it was", () => {
    fc.assert(
      fc.property(anyText, (text) => {
        const { user } = JSON.parse(formatJsonLine(recordWith(text))) as { user: string };
        if (text.length <= 512) expect(user).toBe(text);
        else expect(user.length).toBeLessThanOrEqual(512);
      }),
      { numRuns: 500 },
    );
  });
});
