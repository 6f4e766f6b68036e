import { describe, expect, test } from "bun:test";

import { parseDuration, parseSize } from "../../../src/config/quantity.ts";

describe("parseDuration()", () => {
  test.each([
    ["500ms", 500],
    ["10s", 10_000],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1d", 86_400_000],
    ["1.5s", 1500],
    ["0", 0],
    ["0s", 0],
    ["24d", 2_073_600_000],
  ])("reads %p as %p milliseconds", (text, value) => {
    expect(parseDuration(text)).toEqual({ ok: true, value });
  });

  test.each(["", "10", "10 s", "s", "-1s", "+1s", "1e3s", "10S", "1w", ".5s", "1.s", "10s "])(
    "refuses %p and says how one is written",
    (text) => {
      const parsed = parseDuration(text);
      expect(parsed).toMatchObject({ ok: false });
      expect(!parsed.ok && parsed.reason).toContain('"10s"');
    },
  );

  test("refuses what a timer cannot hold", () => {
    expect(parseDuration("25d")).toEqual({ ok: false, reason: 'is too long. Write "24d" or less' });
  });
});

describe("parseSize()", () => {
  test.each([
    ["512B", 512],
    ["32KiB", 32_768],
    ["32KB", 32_000],
    ["20MB", 20_000_000],
    ["1MiB", 1_048_576],
    ["1.5KiB", 1536],
    ["1GiB", 1_073_741_824],
  ])("reads %p as %p bytes", (text, value) => {
    expect(parseSize(text)).toEqual({ ok: true, value });
  });

  test.each(["", "32", "32K", "32kb", "32 KiB", "-1KiB", "1BiB"])("refuses %p", (text) => {
    expect(parseSize(text)).toMatchObject({ ok: false });
  });
});
