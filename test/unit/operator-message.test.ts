import { describe, expect, test } from "bun:test";
import { MESSAGE_LEVELS, MessageFilter, writePrefix } from "../../src/operator-message.ts";

const NOW = new Date("2026-11-28T18:04:05.678Z");

describe("writePrefix()", () => {
  test("has the time in UTC and the level", () => {
    expect(MESSAGE_LEVELS.map((level) => writePrefix("plain", level, NOW))).toEqual([
      "2026-11-28T18:04:05.678Z error ",
      "2026-11-28T18:04:05.678Z warn  ",
      "2026-11-28T18:04:05.678Z info  ",
      "2026-11-28T18:04:05.678Z debug ",
    ]);
  });

  test("has the local time of day on a terminal", () => {
    const clock = [NOW.getHours(), NOW.getMinutes(), NOW.getSeconds()].map((part) => String(part).padStart(2, "0"));
    expect(writePrefix("terminal", "info", NOW)).toBe(`${clock.join(":")} info  `);
  });

  test("has the priorities of sd-daemon(3) and no time for systemd's journal", () => {
    expect(MESSAGE_LEVELS.map((level) => writePrefix("journal", level, NOW))).toEqual(["<3>", "<4>", "<6>", "<7>"]);
  });
});

test("MessageFilter lets through what matters as much as its level, which may change", () => {
  const told: string[] = [];
  const filter = new MessageFilter((message) => void told.push(message));
  const tellAll = (): string[] => {
    told.length = 0;
    for (const level of MESSAGE_LEVELS) filter.tell(level, level);
    return [...told];
  };
  expect(tellAll()).toEqual(["error", "warn", "info"]);
  filter.level = "debug";
  expect(tellAll()).toEqual(["error", "warn", "info", "debug"]);
  filter.level = "error";
  expect(tellAll()).toEqual(["error"]);
});
