import { describe, expect, test } from "bun:test";
import { cutCell, fitCell, formatAge, measureCell, padCell, writeLine } from "../../../src/cli/table-text.ts";
import { hostileTexts } from "../../fixtures/hostile-texts.ts";

describe("a cell", () => {
  test.each([
    ["alice", 8, "alice   "],
    ["alice", 5, "alice"],
    ["alice-of-the-office", 8, "alice-o…"],
    ["日本語", 8, "日本語  "],
    // A wide character has two columns: half of one cannot be shown.
    ["日本語日本語", 8, "日本語… "],
    ["e\u0301e\u0301", 3, "e\u0301e\u0301 "],
    ["\u001b[2J", 10, "\\u001b[2J "],
    ["\u001b[2J", 6, "\\u001…"],
    ["a\nb", 8, "a\\u000ab"],
  ])("%j in %d columns is %j", (text, width, expected) => {
    expect(fitCell(text, width)).toBe(expected);
  });

  test("has its width whatever is in it, on both sides", () => {
    const marks = `a${"\u0301".repeat(500)}b`;
    const texts = [...hostileTexts, marks, "👨‍👩‍👧", "🇩🇪🇩🇪", "한국어", "שלום", "x".repeat(10_000)];
    for (const text of texts) {
      for (const width of [1, 2, 7, 40]) {
        expect(Bun.stringWidth(fitCell(text, width))).toBe(width);
        expect(Bun.stringWidth(fitCell(text, width, "right"))).toBe(width);
        expect(measureCell(cutCell(text, width))).toBeLessThanOrEqual(width);
        expect(cutCell(text, width)).not.toMatch(/[\p{Cc}\p{Cf}]/u);
      }
    }
    // Marks are drawn over each other, and over other lines when they are many.
    expect([...fitCell(marks, 7)].length).toBeLessThan(15);
  });

  test("that is too long stays whole where it is only padded", () => {
    expect(padCell("日本語", 4)).toBe("日本語");
    expect(padCell("日本", 6)).toBe("日本  ");
  });
});

test("a line keeps within 80 columns, counted as a terminal does", () => {
  expect(writeLine("日".repeat(100))).toBe(`${"日".repeat(39)}…\n`);
  expect(writeLine("日".repeat(40))).toBe(`${"日".repeat(40)}\n`);
  expect(writeLine("a \nb\u001b")).toBe("a\nb\\u001b\n");
});

test.each([
  [-5, "0s"],
  [59_999, "59s"],
  [125_000, "2m05s"],
  [11_520_000, "3h12m"],
  [1_047_600_000, "12d03h"],
])("an age of %d ms is written as %s", (ms, expected) => {
  expect(formatAge(ms)).toBe(expected);
});
