import { describe, expect, test } from "bun:test";
import { formatTraceParent, parseTraceParent } from "../../../src/protocol/trace-parent.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

describe("parseTraceParent()", () => {
  test("reads trace, span and whether they are recorded", () => {
    expect(parseTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, isSampled: true });
    expect(parseTraceParent(`00-${TRACE}-${SPAN}-02`)?.isSampled).toBe(false);
    expect(parseTraceParent(formatTraceParent(TRACE, SPAN))?.isSampled).toBe(true);
  });

  test("reads what is known of later versions", () => {
    expect(parseTraceParent(`cc-${TRACE}-${SPAN}-01-what-the-future-will-be`)?.traceId).toBe(TRACE);
    expect(parseTraceParent(`cc-${TRACE}-${SPAN}-01`)?.spanId).toBe(SPAN);
  });

  test.each([
    ["", "nothing"],
    [`00-${TRACE}-${SPAN}-01-more`, "more than version 00 has"],
    [`ff-${TRACE}-${SPAN}-01`, "a version that is forbidden"],
    [`00-${"0".repeat(32)}-${SPAN}-01`, "a trace of zeros"],
    [`00-${TRACE}-${"0".repeat(16)}-01`, "a span of zeros"],
    [`00-${TRACE.toUpperCase()}-${SPAN}-01`, "upper case"],
    [`00-${TRACE}-${SPAN}-1`, "short flags"],
    [`cc-${TRACE}-${SPAN}-01.x`, "an end without a hyphen"],
    [`cc-${TRACE}-${SPAN}-01-${"x".repeat(300)}`, "a text without end"],
    [` 00-${TRACE}-${SPAN}-01`, "a space"],
  ])("refuses %p: %s", (value) => {
    expect(parseTraceParent(value)).toBeUndefined();
  });
});
