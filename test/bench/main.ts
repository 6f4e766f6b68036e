import { mkdir } from "node:fs/promises";
import { cpus, release, totalmem } from "node:os";
import { join } from "node:path";
import { help, readOptions, type BenchOptions } from "./options.ts";
import { endAllPeers, findFreePort, type Peer } from "./peer.ts";
import { apache } from "./peers/apache.ts";
import { direct } from "./peers/direct.ts";
import { haproxyAuto, haproxyTuned } from "./peers/haproxy.ts";
import { laneAlone } from "./peers/lane.ts";
import { nginx } from "./peers/nginx.ts";
import { penstock, penstockRelay } from "./peers/penstock.ts";
import { proxyChain } from "./peers/proxy-chain.ts";
import { danted, microsocks } from "./peers/socks.ts";
import { squid } from "./peers/squid.ts";
import { tinyproxy } from "./peers/tinyproxy.ts";
import { writeTable, type Series } from "./report.ts";
import { runOnce } from "./run-once.ts";
import { quickScenarios, scenarios, type Scenario } from "./scenarios.ts";

const allPeers: readonly Peer[] = [
  direct,
  penstock,
  penstockRelay,
  laneAlone,
  haproxyTuned,
  haproxyAuto,
  squid,
  tinyproxy,
  apache,
  nginx,
  microsocks,
  danted,
  proxyChain,
];
const quickPeers: readonly Peer[] = [direct, penstock, haproxyTuned, squid, tinyproxy];

interface Job {
  readonly peer: Peer;
  readonly scenario: Scenario;
  readonly series: Series;
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    endAllPeers();
    process.exit(1);
  });
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help);
  else await runBench(options);
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

async function runBench(options: BenchOptions): Promise<void> {
  const missing: string[] = [];
  const peers = choose(options.quick && options.peers.length === 0 ? quickPeers : allPeers, options.peers).filter(
    (peer) => {
      const reason = peer.findMissing();
      if (reason !== undefined) missing.push(`${peer.name}: ${reason}`);
      return reason === undefined;
    },
  );
  for (const line of missing) say(`Left out ${line}`);
  const wanted =
    options.quick && options.only.length === 0
      ? scenarios.filter(({ name }) => quickScenarios.includes(name))
      : choose(scenarios, options.only);
  const jobs = wanted.flatMap((scenario) =>
    peers
      .filter((peer) => (scenario.kind === "get" ? peer.forwards : peer.handshake !== undefined))
      .map((peer): Job => ({ peer, scenario, series: { scenario, peer: peer.name, runs: [], troubles: [] } })),
  );
  if (jobs.length === 0) throw new Error("There is nothing to run: --only and --peers leave no scenario or no peer.");
  const originPort = findFreePort();
  const origin = await startOrigin(originPort);
  try {
    await runRounds(jobs, originPort, options);
    if (options.countSystemCalls) await countSystemCalls(jobs, originPort, options);
  } finally {
    origin.kill("SIGKILL");
    await origin.exited;
  }
  await writeReport(jobs, missing, options);
}

function choose<Named extends { readonly name: string }>(
  all: readonly Named[],
  parts: readonly string[],
): readonly Named[] {
  return parts.length === 0 ? all : all.filter(({ name }) => parts.some((part) => name.includes(part)));
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
async function runRounds(jobs: readonly Job[], originPort: number, options: BenchOptions): Promise<void> {
  const names = [...new Set(jobs.map(({ scenario }) => scenario.name))];
  let done = 0;
  for (let round = 0; round < options.rounds; round += 1) {
    for (const name of names) {
      const turn = jobs.filter(({ scenario }) => scenario.name === name);
      for (const job of [...turn.slice(round % turn.length), ...turn.slice(0, round % turn.length)]) {
        done += 1;
        const outcome = await runJob(job, { originPort, ms: options.ms, countSystemCalls: false });
        say(`[${done}/${jobs.length * options.rounds}] ${name} · ${job.peer.name}: ${outcome}`);
      }
    }
  }
}

async function runJob(
  job: Job,
  options: { originPort: number; ms: number; countSystemCalls: boolean },
): Promise<string> {
  try {
    const figures = await runOnce(job.peer, job.scenario, options);
    job.series.runs.push(figures);
    const bulk = job.scenario.unit === "GB";
    const rate = figures.units / figures.seconds;
    return job.scenario.unit === "memory"
      ? `${((figures.memoryAfter - figures.memoryBefore) / 1e6).toFixed(1)} MB`
      : bulk
        ? `${(rate / 1e9).toFixed(2)} GB/s`
        : `${rate.toFixed(0)}/s`;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    job.series.troubles.push(reason);
    return `failed: ${reason}`;
  }
}

/** Counting slows a proxy down, so these runs give no other figure. */
async function countSystemCalls(jobs: readonly Job[], originPort: number, options: BenchOptions): Promise<void> {
  for (const job of jobs) {
    if (!job.peer.name.startsWith("penstock") || job.scenario.unit === "memory") continue;
    say(`Counting system calls: ${job.scenario.name} · ${job.peer.name}`);
    try {
      const { systemCalls } = await runOnce(job.peer, job.scenario, {
        originPort,
        ms: options.ms,
        countSystemCalls: true,
      });
      const [first, ...others] = job.series.runs;
      if (first !== undefined && systemCalls !== undefined)
        job.series.runs.splice(0, Infinity, { ...first, systemCalls }, ...others);
    } catch (error) {
      job.series.troubles.push(String(error));
    }
  }
}

async function writeReport(jobs: readonly Job[], missing: readonly string[], options: BenchOptions): Promise<void> {
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, Linux ${release()}, Bun ${Bun.version}`;
  const versions = [...new Set(jobs.map(({ peer }) => peer))].map((peer) => `- ${peer.name}: ${readVersion(peer)}`);
  const names = [...new Set(jobs.map(({ scenario }) => scenario))];
  const tables = names.map((scenario) =>
    writeTable(
      scenario,
      jobs.filter((job) => job.scenario === scenario).map(({ series }) => series),
    ),
  );
  const head = [
    "## Figures",
    "",
    `${new Date().toISOString().slice(0, 10)}, ${machine}. Medians of ${options.rounds} interleaved rounds of ${options.ms / 1000} s; CPU is the proxy's own.`,
    "",
    ...versions,
  ];
  const text = [...head, ...missing.map((line) => `- left out: ${line}`), "", ...tables].join("\n");
  await mkdir(options.out, { recursive: true });
  await Bun.write(join(options.out, "bench.md"), `${text}\n`);
  await Bun.write(
    join(options.out, "bench.json"),
    JSON.stringify({ machine, options, missing, series: jobs.map(({ series }) => series) }, undefined, 1),
  );
  process.stdout.write(`${text}\n`);
  say(`Written to ${options.out}/bench.md and bench.json.`);
}

function readVersion(peer: Peer): string {
  const [program, ...args] = peer.version ?? [];
  if (program === undefined) return "–";
  const found = Bun.which(program, { PATH: `${process.env["PATH"] ?? ""}:/usr/sbin` }) ?? program;
  const { exitCode, stdout, stderr } = Bun.spawnSync([found, ...args]);
  if (exitCode !== 0) return "unknown";
  return (stdout.toString() || stderr.toString()).split("\n", 1)[0]?.trim() ?? "–";
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
