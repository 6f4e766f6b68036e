import { describe, expect, test } from "bun:test";
import { Histogram } from "../../../../src/proxy/record/histogram.ts";

describe("Histogram", () => {
  test("counts a value in the first bucket whose bound is not below it", () => {
    const histogram = new Histogram([1, 10]);
    for (const ms of [0, 1, 1.5, 10, 10.1, 1e9]) histogram.observe(ms);
    expect(histogram.counts).toEqual([2, 2, 2]);
  });

  test("keeps the number and the sum of what it saw", () => {
    const histogram = new Histogram([1]);
    histogram.observe(0.5);
    histogram.observe(2);
    expect(histogram.count).toBe(2);
    expect(histogram.sumMs).toBe(2.5);
  });
});
