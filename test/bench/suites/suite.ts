import type { Peer } from "../peer.ts";
import type { Series } from "../report.ts";
import type { Scenario } from "../scenarios.ts";

/** A question that the bench answers: what it runs, and how the answer is shown. */
export interface Suite {
  /** Of the files that it writes. */
  readonly name: string;
  readonly scenarios: readonly Scenario[];
  readonly peers: readonly Peer[];
  /** Scenarios and peers when all is to take less than a minute and nothing else was asked for. */
  readonly quickScenarios: readonly Scenario[];
  readonly quickPeers: readonly Peer[];
  /** Sections of Markdown. */
  writeSections(all: readonly Series[]): string[];
  /** Plots as SVG, by file name. */
  drawPlots(all: readonly Series[]): Readonly<Record<string, string>>;
}
