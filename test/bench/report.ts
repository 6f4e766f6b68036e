import type { RunFigures } from "./run-once.ts";
import type { Scenario } from "./scenarios.ts";
import type { CallCounts } from "./system-calls.ts";

/** All runs of one scenario against one peer. */
export interface Series {
  readonly scenario: Scenario;
  readonly peer: string;
  readonly runs: RunFigures[];
  /** Why a run has no figures. */
  readonly troubles: string[];
  /** System calls per unit, by name, when they were counted. */
  systemCalls?: CallCounts | undefined;
}

/** One row of a table: medians, and how far the runs are apart. */
export interface Summary {
  readonly peer: string;
  /** Units per second. */
  readonly rate: number;
  /** CPU seconds per unit; undefined where there is no process to measure. */
  readonly cpu: number | undefined;
  /** Which share of that was spent in the kernel, 0 to 1. */
  readonly kernel: number;
  /** CPU seconds of the whole machine per unit. */
  readonly machine: number;
  /** Of the rate: (largest − smallest) / median. */
  readonly spread: number;
  readonly p50: number;
  readonly p99: number;
  readonly memoryBytes: number;
  /** Those that it has written itself. */
  readonly privateBytes: number;
  /** How much memory grew: for `idle` per tunnel. */
  readonly growthBytes: number;
  readonly failures: number;
  readonly closed: number;
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
  const calls = series.systemCalls === undefined ? undefined : Object.values(series.systemCalls);
  const rate = takeMedian(rates);
  return {
    peer: series.peer,
    rate,
    cpu: runs.every((run) => run.memoryBefore === 0) ? undefined : takeMedian(costs),
    kernel: takeMedian(runs.map((run) => (run.cpuSeconds > 0 ? run.kernelSeconds / run.cpuSeconds : 0))),
    machine: takeMedian(runs.map((run) => (run.machineSeconds * scale) / Math.max(1, run.units))),
    spread: rate === 0 ? 0 : (Math.max(...rates) - Math.min(...rates)) / rate,
    p50: takeMedian(runs.map((run) => run.p50)),
    p99: takeMedian(runs.map((run) => run.p99)),
    memoryBytes: takeMedian(runs.map((run) => run.memoryAfter)),
    privateBytes: takeMedian(runs.map((run) => run.privateAfter)),
    growthBytes: takeMedian(runs.map((run) => (run.memoryAfter - run.memoryBefore) / share)),
    failures: runs.reduce((sum, run) => sum + run.failures, 0),
    closed: runs.reduce((sum, run) => sum + (run.closed ?? 0), 0),
    systemCalls: calls?.reduce((sum, count) => sum + count * scale, 0),
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
export function writeTable(all: readonly Series[]): string {
  const scenario = all[0]?.scenario;
  if (scenario === undefined) return "";
  const rows = all.map(summarize).filter((row) => row !== undefined);
  const lines = scenario.unit === "memory" ? writeMemoryRows(scenario, rows) : writeRateRows(scenario, rows);
  const notes = [...writeClosed(rows), ...writeSystemCalls(all), ...writeTroubles(all)];
  return [`### ${scenario.name}`, "", ...lines, "", ...notes].join("\n");
}

/** Writes a list of why runs have no figures. */
export function writeTroubles(all: readonly Series[]): string[] {
  const lines = all.flatMap(({ peer, scenario, troubles }) =>
    troubles.map((trouble) => `- ${scenario.name}, ${peer}: ${trouble.replaceAll("\n", " ").slice(0, 300)}`),
  );
  return lines.length === 0 ? [] : [...lines, ""];
}

/** The client of requests wants to keep its connections; a proxy that closes them has not failed, but makes it connect again. */
function writeClosed(rows: readonly Summary[]): string[] {
  const lines = rows
    .filter(({ closed }) => closed > 0)
    .map(({ peer, closed }) => `- ${peer} closed ${closed} connections that the client meant to keep.`);
  return lines.length === 0 ? [] : [...lines, ""];
}

function writeSystemCalls(all: readonly Series[]): string[] {
  const lines = all.flatMap(({ peer, scenario, systemCalls }) => {
    if (systemCalls === undefined) return [];
    const scale = scenario.unit === "GB" ? 1e9 : 1;
    const calls = Object.entries(systemCalls)
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, 12)
      .map(([name, count]) => `${name} ${formatCount(count * scale)}`);
    return [`- System calls of ${peer} per ${scenario.unit}: ${calls.join(", ")}.`];
  });
  return lines.length === 0 ? [] : [...lines, ""];
}

function formatCount(count: number): string {
  return count.toFixed(count >= 100 ? 0 : 2);
}

interface Column {
  readonly head: string;
  readonly cell: (row: Summary) => string;
}

function writeRateRows(scenario: Scenario, rows: readonly Summary[]): string[] {
  const bulk = scenario.unit === "GB";
  const bestRate = Math.max(...rows.map(({ rate }) => rate));
  const worstCost = Math.max(...rows.map(({ cpu }) => cpu ?? 0));
  const limit = rows.find(({ peer }) => peer === LIMIT_PEER)?.cpu;
  const showCost = (cpu: number): string => (bulk ? cpu.toFixed(3) : (cpu * 1e6).toFixed(1));
  const columns: Column[] = [
    { head: "peer", cell: ({ peer }) => peer },
    { head: bulk ? "GB/s" : `${scenario.unit}s/s`, cell: ({ rate }) => rate.toFixed(bulk ? 2 : 0) },
    { head: "", cell: ({ rate }) => drawBar(rate, bestRate) },
    { head: "spread", cell: ({ spread }) => formatPercent(spread) },
    {
      head: bulk ? "CPU-s/GB" : `CPU µs/${scenario.unit}`,
      cell: ({ cpu }) => (cpu === undefined ? "–" : showCost(cpu)),
    },
    { head: "", cell: ({ cpu }) => drawBar(cpu ?? 0, worstCost) },
    { head: "the machine's", cell: ({ machine }) => showCost(machine) },
    { head: "share of the limit", cell: ({ cpu }) => formatShare(limit, cpu) },
    { head: "in the kernel", cell: ({ cpu, kernel }) => (cpu === undefined ? "–" : formatPercent(kernel)) },
  ];
  if (scenario.unit === "request")
    columns.push({
      head: "requests/CPU-s",
      cell: ({ cpu }) => (cpu === undefined || cpu === 0 ? "–" : (1 / cpu).toFixed(0)),
    });
  if (!bulk)
    columns.push(
      { head: "p50 ms", cell: ({ p50 }) => p50.toFixed(3) },
      { head: "p99 ms", cell: ({ p99 }) => p99.toFixed(3) },
    );
  if (rows.some(({ systemCalls }) => systemCalls !== undefined))
    columns.push({
      head: `system calls/${scenario.unit}`,
      cell: ({ systemCalls }) => (systemCalls === undefined ? "–" : systemCalls.toFixed(bulk ? 0 : 1)),
    });
  columns.push(
    { head: "MB", cell: ({ memoryBytes }) => (memoryBytes / 1e6).toFixed(0) },
    { head: "private MB", cell: ({ privateBytes }) => (privateBytes / 1e6).toFixed(0) },
    { head: "failed", cell: ({ failures }) => String(failures) },
  );
  return writeRows(
    columns.map(({ head }) => head),
    rows.map((row) => columns.map(({ cell }) => cell(row))),
  );
}

/** The peer that does no more than has to be done; `peers/minimal.ts`. */
const LIMIT_PEER = "minimal (C)";

/** How much of a peer's cost has to be: 1 for one that is as cheap as the limit. */
function formatShare(limit: number | undefined, cpu: number | undefined): string {
  return limit === undefined || cpu === undefined || cpu === 0 ? "–" : (limit / cpu).toFixed(2);
}

function formatPercent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function writeMemoryRows(scenario: Scenario, rows: readonly Summary[]): string[] {
  const each = scenario.kind === "idle";
  const worst = Math.max(...rows.map((row) => row.growthBytes));
  const heads = ["peer", each ? "KB per tunnel" : "MB grown", "", "MB in all", "private MB", "tunnels failed"];
  const body = rows.map((row) => [
    row.peer,
    each ? (row.growthBytes / 1000).toFixed(2) : (row.growthBytes / 1e6).toFixed(1),
    drawBar(row.growthBytes, worst),
    (row.memoryBytes / 1e6).toFixed(0),
    (row.privateBytes / 1e6).toFixed(0),
    String(row.failures),
  ]);
  return writeRows(heads, body);
}

/** Writes a table: the first column and those without a head are text, the others numbers. */
export function writeRows(heads: readonly string[], body: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [
    line(heads),
    line(heads.map((_, index) => (index === 0 || heads[index] === "" ? "---" : "---:"))),
    ...body.map(line),
  ];
}
