import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Series } from "./report.ts";
import type { Suite } from "./suites/suite.ts";

/** All that a report is written from; the contents of the JSON file. */
export interface Measured {
  readonly date: string;
  readonly machine: string;
  /** A sentence on which CPU ran what. */
  readonly layout: string;
  readonly rounds: number;
  /** Measured time of a run. */
  readonly seconds: number;
  readonly versions: readonly string[];
  /** Peers that were left out, and why. */
  readonly missing: readonly string[];
  readonly series: readonly Series[];
}

/** Writes JSON, Markdown and plots into a folder; gives the Markdown. */
export async function writeReport(suite: Suite, measured: Measured, folder: string): Promise<string> {
  const { date, machine, layout, rounds, seconds, versions, missing, series } = measured;
  const text = [
    "## Figures",
    "",
    `${date}, ${machine}. Medians of ${rounds} interleaved rounds of ${seconds} s. ${layout} CPU is the proxy's own, beside the whole machine's.`,
    "",
    ...versions.map((line) => `- ${line}`),
    ...missing.map((line) => `- left out: ${line}`),
    "",
    ...suite.writeSections(series),
    "",
  ].join("\n");
  const files = {
    [`${suite.name}.md`]: text,
    [`${suite.name}.json`]: `${JSON.stringify(measured, undefined, 1)}\n`,
    ...suite.drawPlots(series),
  };
  await mkdir(folder, { recursive: true });
  for (const [name, content] of Object.entries(files)) await Bun.write(join(folder, name), content);
  process.stderr.write(`Written to ${folder}: ${Object.keys(files).join(", ")}.\n`);
  return text;
}
