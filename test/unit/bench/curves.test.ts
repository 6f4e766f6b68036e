import { expect, test } from "bun:test";
import { drawCurves, writeCurves, type Curves } from "../../bench/curves.ts";
import type { Series } from "../../bench/report.ts";
import { playPingPong } from "../../bench/scenarios.ts";

const curves: Curves = {
  name: "cost",
  title: "Cost",
  x: { label: "tunnels", format: String },
  y: { label: "µs", of: ({ cpu }) => (cpu === undefined ? undefined : cpu * 1e6), digits: 1 },
  points: [1, 10, 100].map((count) => ({ x: count, scenario: playPingPong(64, count) })),
};

function makeSeries(peer: string, tunnels: number, costs: readonly number[]): Series {
  const runs = costs.map((cpuSeconds) => ({
    seconds: 1,
    units: 1000,
    p50: 1,
    p99: 2,
    failures: 0,
    cpuSeconds,
    kernelSeconds: 0,
    machineSeconds: cpuSeconds,
    memoryBefore: 1,
    memoryAfter: 1,
    privateAfter: 1,
  }));
  return { scenario: playPingPong(64, tunnels), peer, runs, troubles: costs.length === 0 ? ["It fell over."] : [] };
}

const all = [
  makeSeries("a", 1, [0.01, 0.03, 0.02]),
  makeSeries("a", 10, [0.04]),
  makeSeries("b", 10, []),
  makeSeries("b", 1, [0]),
];

test("writeCurves() writes medians with a column for each peer, what is missing, and why", () => {
  expect(writeCurves(curves, all)[0]?.split("\n")).toEqual([
    "### Cost",
    "",
    "![Cost](cost.svg)",
    "",
    "In µs.",
    "",
    "| tunnels | a | b |",
    "| --- | ---: | ---: |",
    "| 1 | 20.0 | 0.0 |",
    "| 10 | 40.0 | – |",
    "",
    "- ping-pong 64 B ×10, b: It fell over.",
    "",
  ]);
});

test("drawCurves() leaves out what has no logarithm", () => {
  const svg = drawCurves([curves], all)["cost.svg"] ?? "";
  expect(svg).toContain("<title>a</title>");
  expect(svg).not.toMatch(/NaN|Infinity/);
});

test("figures of which nothing was measured have neither a section nor a plot", () => {
  expect(writeCurves(curves, [])).toEqual([]);
  expect(drawCurves([curves], [])).toEqual({});
});
