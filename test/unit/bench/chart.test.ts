import { describe, expect, test } from "bun:test";
import { drawChart, type Chart } from "../../bench/chart.ts";

const chart: Chart = {
  title: "Cost & <growth>",
  x: { label: "tunnels", format: (x) => `n${x}` },
  y: { label: "µs" },
  lines: [
    {
      name: "one",
      points: [
        { x: 1, y: 0.3 },
        { x: 100, y: 30 },
        { x: 10, y: 3 },
      ],
    },
    { name: "another", points: [{ x: 10, y: 7 }] },
  ],
};

/** Of the line with that name: the places that its path goes through. */
function readPath(svg: string, name: string): number[][] {
  const path = new RegExp(`<title>${name}</title><path d="([^"]*)"`).exec(svg)?.[1] ?? "";
  return [...path.matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map(([, x, y]) => [Number(x), Number(y)]);
}

describe("drawChart()", () => {
  const svg = drawChart(chart);

  test("writes one document with escaped texts", () => {
    expect(svg).toStartWith("<svg xmlns=");
    expect(svg).toEndWith("</svg>\n");
    expect(svg).toContain("Cost &amp; &lt;growth&gt;");
    expect(svg).not.toContain("NaN");
  });

  test("labels the x that were measured", () => {
    for (const label of ["n1", "n10", "n100"]) expect(svg).toContain(`>${label}</text>`);
  });

  test("draws what grows by a factor as a straight line, from left to right", () => {
    const [first, second, third] = readPath(svg, "one");
    expect(second?.[0]).toBeCloseTo(((first?.[0] ?? 0) + (third?.[0] ?? 0)) / 2, 0);
    expect(second?.[1]).toBeCloseTo(((first?.[1] ?? 0) + (third?.[1] ?? 0)) / 2, 0);
    expect(first?.[1]).toBeGreaterThan(third?.[1] ?? Infinity);
  });

  test("draws a line of one point", () => {
    expect(readPath(svg, "another")).toHaveLength(1);
  });

  test("keeps every mark and every label inside the picture, whatever the values", () => {
    const names = ["penstock", "penstock (relay)", "haproxy (tuned)", "haproxy (splice-auto)", "squid", "tinyproxy"];
    for (const scale of [1e-9, 0.02, 1, 99, 1e12]) {
      const lines = names.map((name, index) => ({ name, points: [{ x: scale, y: scale * (index + 1) }] }));
      const drawn = drawChart({ ...chart, lines });
      expect(drawn).not.toMatch(/NaN|Infinity|undefined/);
      for (const [, x, y] of drawn.matchAll(/x="([-\d.]+)" y="([-\d.]+)"/g)) {
        expect(Number(x)).toBeWithin(0, 760);
        expect(Number(y)).toBeWithin(0, 440);
      }
    }
  });
});
