import { drawChart, type Line } from "./chart.ts";
import { summarize, writeRows, writeTroubles, type Series, type Summary } from "./report.ts";
import type { Scenario } from "./scenarios.ts";

/** One figure of several scenarios that differ in one number: a table with a column for each peer, and a plot. */
export interface Curves {
  /** Of the plot's file. */
  readonly name: string;
  readonly title: string;
  readonly x: { readonly label: string; readonly format: (x: number) => string };
  readonly y: {
    readonly label: string;
    readonly of: (summary: Summary) => number | undefined;
    /** After the point, in tables. */
    readonly digits: number;
  };
  readonly points: readonly { readonly x: number; readonly scenario: Scenario }[];
}

/** Writes the sections of Markdown of a figure: none when nothing of it was measured. */
export function writeCurves(curves: Curves, all: readonly Series[]): string[] {
  const lines = readLines(curves, all);
  if (lines.length === 0) return [];
  const { x, y } = curves;
  const measured = curves.points.filter((point) => lines.some((line) => line.values.has(point.x)));
  const rows = measured.map((point) => [
    x.format(point.x),
    ...lines.map((line) => line.values.get(point.x)?.toFixed(y.digits) ?? "–"),
  ]);
  const some = curves.points.flatMap(({ scenario }) => all.filter((series) => series.scenario.name === scenario.name));
  return [
    [
      `### ${curves.title}`,
      "",
      `![${curves.title.replaceAll("`", "")}](${curves.name}.svg)`,
      "",
      `In ${y.label}.`,
      "",
      ...writeRows([x.label, ...lines.map((line) => line.name)], rows),
      "",
      ...writeTroubles(some),
    ].join("\n"),
  ];
}

/** Draws the plots of figures, by file name; those of which nothing was measured are left out. */
export function drawCurves(figures: readonly Curves[], all: readonly Series[]): Readonly<Record<string, string>> {
  const plots: Record<string, string> = {};
  for (const curves of figures) {
    const lines = readLines(curves, all).map(({ name, values }): Line => ({
      name,
      // A logarithm wants more than nothing: memory that did not grow has no place in the plot, only in the table.
      points: [...values].map(([x, y]) => ({ x, y })).filter(({ y }) => y > 0),
    }));
    if (!lines.some(({ points }) => points.length > 0)) continue;
    const title = curves.title.replaceAll("`", "");
    plots[`${curves.name}.svg`] = drawChart({ title, x: curves.x, y: curves.y, lines });
  }
  return plots;
}

/** What was measured, by peer and then by x. */
function readLines(curves: Curves, all: readonly Series[]): { name: string; values: Map<number, number> }[] {
  const peers = [...new Set(all.map(({ peer }) => peer))];
  const lines = peers.map((name) => {
    const values = new Map<number, number>();
    for (const { x, scenario } of curves.points) {
      const series = all.find((each) => each.peer === name && each.scenario.name === scenario.name);
      const summary = series === undefined ? undefined : summarize(series);
      const y = summary === undefined ? undefined : curves.y.of(summary);
      if (y !== undefined) values.set(x, y);
    }
    return { name, values };
  });
  return lines.filter(({ values }) => values.size > 0);
}
