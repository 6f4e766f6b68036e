import { chooseLayout, type Layout, pin } from "./layout.ts";
import type { BenchOptions } from "./options.ts";
import { findFreePort, type Peer } from "./peer.ts";
import type { Series } from "./report.ts";
import { runOnce, type RunOptions } from "./run-once.ts";
import type { Scenario } from "./scenarios.ts";

/** One scenario against one peer, and what comes of it. */
export interface Job {
  readonly peer: Peer;
  readonly scenario: Scenario;
  readonly series: Series;
}

/** Runs all rounds against one origin, showing progress on standard error. */
export async function runRounds(jobs: readonly Job[], options: BenchOptions): Promise<void> {
  const layout = chooseLayout(options.pin);
  // What is started from here on inherits it: the origin, the client, and each proxy until it gets its own.
  if (layout !== undefined) pin([process.pid], layout.load);
  const originPort = findFreePort();
  const origin = await startOrigin(originPort);
  try {
    await runInterleaved(jobs, originPort, options, layout);
    if (options.countSystemCalls) await countSystemCalls(jobs, originPort, options, layout);
  } finally {
    origin.kill("SIGKILL");
    await origin.exited;
  }
}

async function startOrigin(port: number): Promise<Bun.Subprocess<"pipe", "pipe", "inherit">> {
  const program = new URL("./load/origin.ts", import.meta.url).pathname;
  const origin = Bun.spawn([process.execPath, program, String(port)], {
    // It ends when this process does, because its standard input does.
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  await origin.stdout.getReader().read();
  return origin;
}

/** Every round runs everything once, each time beginning with another peer, so that what disturbs the machine disturbs all alike. */
async function runInterleaved(
  jobs: readonly Job[],
  originPort: number,
  options: BenchOptions,
  layout: Layout | undefined,
): Promise<void> {
  const names = [...new Set(jobs.map(({ scenario }) => scenario.name))];
  const begin = performance.now();
  let done = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    for (const name of names) {
      const turn = jobs.filter(({ scenario }) => scenario.name === name);
      for (const job of [...turn.slice(round % turn.length), ...turn.slice(0, round % turn.length)]) {
        done += 1;
        const outcome = await runJob(job, { originPort, ms: options.ms, countSystemCalls: false, layout });
        const seconds = ((performance.now() - begin) / 1000).toFixed(0);
        say(`[${done}/${jobs.length * options.rounds}, ${seconds} s] ${name} · ${job.peer.name}: ${outcome}`);
      }
    }
  }
}

async function runJob(job: Job, options: RunOptions): Promise<string> {
  try {
    const figures = await runOnce(job.peer, job.scenario, options);
    job.series.runs.push(figures);
    const rate = figures.units / figures.seconds;
    if (job.scenario.unit === "memory")
      return `${((figures.memoryAfter - figures.memoryBefore) / 1e6).toFixed(1)} MB more`;
    return job.scenario.unit === "GB" ? `${(rate / 1e9).toFixed(2)} GB/s` : `${rate.toFixed(0)}/s`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    job.series.troubles.push(reason);
    return `failed: ${reason}`;
  }
}

/** Counting slows a proxy down, so these runs give no other figure. */
async function countSystemCalls(
  jobs: readonly Job[],
  originPort: number,
  options: BenchOptions,
  layout: Layout | undefined,
): Promise<void> {
  for (const job of jobs) {
    if (!job.peer.isPenstock || job.scenario.unit === "memory") continue;
    say(`Counting system calls: ${job.scenario.name} · ${job.peer.name}`);
    try {
      const { systemCalls } = await runOnce(job.peer, job.scenario, {
        originPort,
        ms: options.ms,
        countSystemCalls: true,
        layout,
      });
      job.series.systemCalls = systemCalls;
      if (systemCalls === undefined) job.series.troubles.push("Its system calls cannot be counted without strace.");
    } catch (error) {
      job.series.troubles.push(String(error));
    }
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
