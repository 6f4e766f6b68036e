import { cpus } from "node:os";
import { findProgram } from "./peer.ts";

/** Which CPU runs what. Where all share all CPUs, each wake-up across CPUs is charged to whom it wakes, and figures scatter. */
export interface Layout {
  /** Client and origin. */
  readonly load: number;
  /** The proxy, with all its threads and processes. */
  readonly proxy: number;
}

/** Two CPUs, one for the load and one for the proxy; undefined when it is not wanted, or not possible here. */
export function chooseLayout(isWanted: boolean): Layout | undefined {
  const isPossible = process.platform === "linux" && cpus().length > 1 && findProgram("taskset") !== undefined;
  return isWanted && isPossible ? { load: 0, proxy: 1 } : undefined;
}

/** The layout in one sentence, for the report. */
export function describeLayout(layout: Layout | undefined): string {
  return layout === undefined
    ? "All programs share all CPUs."
    : `Client and origin run on CPU ${layout.load}, the proxy on CPU ${layout.proxy}.`;
}

/** Makes processes, all their threads, and what they start from now on, run on one CPU. One that is gone is passed over. */
export function pin(pids: readonly number[], cpu: number): void {
  for (const pid of pids) Bun.spawnSync(["taskset", "--all-tasks", "--cpu-list", "--pid", String(cpu), String(pid)]);
}
