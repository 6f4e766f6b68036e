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

  test("keeps an example of each bucket for a second, and prefers one that has a trace", () => {
    const histogram = new Histogram([10]);
    histogram.observe(1, { id: "a" }, 0);
    histogram.observe(2, { id: "b" }, 999);
    histogram.observe(20, { id: "c" }, 999);
    expect(histogram.exemplars.map((exemplar) => exemplar?.id)).toEqual(["a", "c"]);
    histogram.observe(3, { id: "d", trace: { traceId: "t" } }, 999);
    expect(histogram.exemplars[0]).toEqual({ id: "d", traceId: "t", value: 3, at: 999 });
    histogram.observe(4, { id: "e" }, 2000);
    expect(histogram.exemplars[0]?.id).toBe("e");
  });
});
