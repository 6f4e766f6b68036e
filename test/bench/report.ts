import type { RunFigures } from "./run-once.ts";
import type { Scenario } from "./scenarios.ts";

/** All runs of one scenario against one peer. */
export interface Series {
  readonly scenario: Scenario;
  readonly peer: string;
  readonly runs: RunFigures[];
  /** Why a run has no figures. */
  readonly troubles: string[];
}

/** One row of a table: medians, and how far the runs are apart. */
export interface Summary {
  readonly peer: string;
  /** Units per second. */
  readonly rate: number;
  /** CPU seconds per unit; undefined where there is no process to measure. */
  readonly cpu: number | undefined;
  /** Of the rate: (largest − smallest) / median. */
  readonly spread: number;
  readonly p50: number;
  readonly p99: number;
  readonly memoryBytes: number;
  /** How much memory grew: for `idle` per tunnel. */
  readonly growthBytes: number;
  readonly failures: number;
  readonly systemCalls: number | undefined;
}

/** Takes the medians of a series; undefined when no run went well. */
export function summarize(series: Series): Summary | undefined {
  const { runs, scenario } = series;
  if (runs.length === 0) return undefined;
  const scale = scenario.unit === "GB" ? 1e9 : 1;
  const rates = runs.map((run) => (run.seconds > 0 ? run.units / run.seconds / scale : 0));
  const costs = runs.map((run) => (run.cpuSeconds * scale) / Math.max(1, run.units));
  const share = scenario.kind === "idle" ? scenario.tunnels : 1;
  const calls = runs.flatMap((run) => (run.systemCalls === undefined ? [] : [run.systemCalls * scale]));
  const rate = takeMedian(rates);
  return {
    peer: series.peer,
    rate,
    cpu: runs.every((run) => run.memoryBefore === 0) ? undefined : takeMedian(costs),
    spread: rate === 0 ? 0 : (Math.max(...rates) - Math.min(...rates)) / rate,
    p50: takeMedian(runs.map((run) => run.p50)),
    p99: takeMedian(runs.map((run) => run.p99)),
    memoryBytes: takeMedian(runs.map((run) => run.memoryAfter)),
    growthBytes: takeMedian(runs.map((run) => (run.memoryAfter - run.memoryBefore) / share)),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
    systemCalls: calls.length === 0 ? undefined : takeMedian(calls),
  };
}

/** The middle value, or the mean of the two in the middle; 0 of nothing. */
export function takeMedian(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = 0, high = 0] = [sorted[Math.ceil(sorted.length / 2) - 1], sorted[middle]];
  return (low + high) / 2;
}

/** A bar of up to `width` characters for the share `part` of `whole`, in eighths. */
export function drawBar(part: number, whole: number, width = 16): string {
  const eighths = whole <= 0 ? 0 : Math.round((Math.max(0, part) / whole) * width * 8);
  return "█".repeat(eighths >> 3) + (["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths & 7] ?? "");
}

/** Writes a Markdown section with a table for one scenario. */
export function writeTable(scenario: Scenario, all: readonly Series[]): string {
  const rows = all.map(summarize).filter((row) => row !== undefined);
  const lines = scenario.unit === "memory" ? writeMemoryRows(scenario, rows) : writeRateRows(scenario, rows);
  const troubles = all.flatMap(({ peer, troubles: list }) =>
    list.map((trouble) => `- ${peer}: ${trouble.replaceAll("\n", " ").slice(0, 300)}`),
  );
  return [`### ${scenario.name}`, "", ...lines, "", ...troubles, ...(troubles.length > 0 ? [""] : [])].join("\n");
}

function writeRateRows(scenario: Scenario, rows: readonly Summary[]): string[] {
  const bulk = scenario.unit === "GB";
  const counted = rows.some((row) => row.systemCalls !== undefined);
  const bestRate = Math.max(...rows.map((row) => row.rate));
  const worstCost = Math.max(...rows.map((row) => row.cpu ?? 0));
  const heads = [
    "peer",
    bulk ? "GB/s" : `${scenario.unit}s/s`,
    "",
    "spread",
    bulk ? "CPU-s/GB" : `CPU µs/${scenario.unit}`,
    "",
  ];
  if (!bulk) heads.push("p50 ms", "p99 ms");
  if (counted) heads.push(`system calls/${scenario.unit}`);
  heads.push("MB", "failed");
  const body = rows.map((row) => {
    const cells = [
      row.peer,
      bulk ? row.rate.toFixed(2) : row.rate.toFixed(0),
      drawBar(row.rate, bestRate),
      `${(row.spread * 100).toFixed(0)} %`,
    ];
    cells.push(
      row.cpu === undefined ? "–" : bulk ? row.cpu.toFixed(3) : (row.cpu * 1e6).toFixed(1),
      drawBar(row.cpu ?? 0, worstCost),
    );
    if (!bulk) cells.push(row.p50.toFixed(3), row.p99.toFixed(3));
    if (counted) cells.push(row.systemCalls === undefined ? "–" : row.systemCalls.toFixed(bulk ? 0 : 1));
    cells.push((row.memoryBytes / 1e6).toFixed(0), String(row.failures));
    return cells;
  });
  return writeRows(heads, body);
}

function writeMemoryRows(scenario: Scenario, rows: readonly Summary[]): string[] {
  const each = scenario.kind === "idle";
  const worst = Math.max(...rows.map((row) => row.growthBytes));
  const heads = ["peer", each ? "KB per tunnel" : "MB grown", "", "MB in all", "tunnels failed"];
  const body = rows.map((row) => [
    row.peer,
    each ? (row.growthBytes / 1000).toFixed(2) : (row.growthBytes / 1e6).toFixed(1),
    drawBar(row.growthBytes, worst),
    (row.memoryBytes / 1e6).toFixed(0),
    String(row.failures),
  ]);
  return writeRows(heads, body);
}

function writeRows(heads: readonly string[], body: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(heads),
    line(heads.map((_, index) => (index === 0 || heads[index] === "" ? "---" : "---:"))),
    ...body.map(line),
  ];
}
