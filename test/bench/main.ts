import { chooseLayout, describeLayout } from "./layout.ts";
import { machineLine, readVersion } from "./machine.ts";
import { help, readOptions, type BenchOptions } from "./options.ts";
import { endAllPeers } from "./peer.ts";
import { runRounds, type Job } from "./rounds.ts";
import { comparison } from "./suites/comparison.ts";
import { growth } from "./suites/growth.ts";
import { promotion } from "./suites/promotion.ts";
import type { Suite } from "./suites/suite.ts";
import { writeReport, type Measured } from "./write-report.ts";

const suites = { comparison, growth, promotion };

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    endAllPeers();
    process.exit(1);
  });
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(help);
  else {
    const suite = suites[options.suite];
    const measured = options.from === undefined ? await measure(suite, options) : await readMeasured(options.from);
    process.stdout.write(await writeReport(suite, measured, options.out));
  }
  process.exit(0);
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}

async function measure(suite: Suite, options: BenchOptions): Promise<Measured> {
  const missing: string[] = [];
  const peers = choose(
    options.quick && options.peers.length === 0 ? suite.quickPeers : suite.peers,
    options.peers,
  ).filter((peer) => {
    const reason = peer.findMissing();
    if (reason !== undefined) missing.push(`${peer.name}: ${reason}`);
    return reason === undefined;
  });
  for (const line of missing) process.stderr.write(`Left out ${line}\n`);
  const scenarios = choose(
    options.quick && options.only.length === 0 ? suite.quickScenarios : suite.scenarios,
    options.only,
  );
  const jobs = scenarios.flatMap((scenario) =>
    peers
      .filter((peer) => peer.only === undefined || peer.only.includes(scenario.kind))
      .filter((peer) => (scenario.kind === "get" ? peer.forwards : peer.handshake !== undefined))
      .map((peer): Job => ({ peer, scenario, series: { scenario, peer: peer.name, runs: [], troubles: [] } })),
  );
  if (jobs.length === 0) throw new Error("There is nothing to run: --only and --peers leave no scenario or no peer.");
  await runRounds(jobs, options);
  const ran = [...new Set(jobs.map(({ peer }) => peer))];
  return {
    date: new Date().toISOString().slice(0, 10),
    machine: machineLine(),
    layout: describeLayout(chooseLayout(options.pin)),
    rounds: options.rounds,
    seconds: options.ms / 1000,
    versions: ran.map((peer) => `${peer.name}: ${readVersion(peer.version)}`),
    missing,
    series: jobs.map(({ series }) => series),
  };
}

/** Those with one of the names, or else those in whose name a part is. */
function choose<Named extends { readonly name: string }>(
  all: readonly Named[],
  parts: readonly string[],
): readonly Named[] {
  if (parts.length === 0) return all;
  const wanted = new Set(
    parts.flatMap((part) => {
      const named = all.filter(({ name }) => name === part);
      return named.length > 0 ? named : all.filter(({ name }) => name.includes(part));
    }),
  );
  return all.filter((each) => wanted.has(each));
}

async function readMeasured(path: string): Promise<Measured> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw new Error(`--from is "${path}": there is no such file.`);
  return (await file.json()) as Measured;
}
