/**
 * What it costs to look at TLS handshakes: CPU of the proxy with inspection on
 * against off, in one run.
 *
 *     bun test/bench/inspection.ts [--rounds N] [--only TEXT] [--bulk]
 *
 * Per tunnel of CONNECT, a handshake and close; with `--bulk` per gigabyte that
 * follows the handshake. A recorded handshake is replayed by both ends, so that
 * no cryptography disturbs the figures. Client and origin share one CPU, each
 * proxy has the other. With `BENCH_PENSTOCK_BEFORE` an earlier executable is
 * measured too, with inspection on and off.
 */
import { parseArgs } from "node:util";
import { replayTunnels, type ReplayOrder, startReplayOrigin } from "./load/replay.ts";
import { chooseLayout, pin } from "./layout.ts";
import { readThreadSeconds } from "./measure.ts";
import type { RunningPeer } from "./peer.ts";
import { definePenstock, definePenstockBefore } from "./peers/penstock.ts";
import { takeMedian } from "./report.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "60" },
    only: { type: "string", default: "" },
    bulk: { type: "boolean", default: false },
  },
});
const rounds = Number(values.rounds);
const fixtures = ["curl", "openssl-tls12-ecdhe-rsa", "chromium"].filter((name) => name.includes(values.only));
/** Of one turn. Short, so that what disturbs the machine disturbs both turns of a pair. */
const load = values.bulk ? { count: 8, atOnce: 8 } : { count: 400, atOnce: 16 };
const bulkBytes = values.bulk ? 64_000_000 : 0;

/** CPU of the proxy per tunnel in microseconds, or per gigabyte in seconds. */
async function measure(peer: RunningPeer, originPort: number, order: ReplayOrder): Promise<number> {
  if (peer.pid === undefined) throw new Error("The proxy is a process.");
  const before = readThreadSeconds(peer.pid);
  try {
    await replayTunnels(peer.port, originPort, order, load);
  } catch (cause) {
    throw new Error((await peer.findTrouble?.()) ?? "A tunnel failed; the proxy still runs.", { cause });
  }
  const seconds = readThreadSeconds(peer.pid) - before;
  return values.bulk ? (seconds * 1e9) / (bulkBytes * load.count) : (seconds * 1e6) / load.count;
}

const layout = chooseLayout(true);
if (layout !== undefined) pin([process.pid], layout.load);
const isCompared = process.env["BENCH_PENSTOCK_BEFORE"] !== undefined;

for (const fixture of fixtures) {
  const order = { fixture, bulkBytes };
  const origin = startReplayOrigin(order);
  await using off = await definePenstock("off", { inspect: { tls: false } }).start(origin);
  await using on = await definePenstock("on", {}).start(origin);
  await using offBefore = isCompared
    ? await definePenstockBefore({ inspect: { tls: false } }).start(origin)
    : undefined;
  await using onBefore = isCompared ? await definePenstockBefore({}).start(origin) : undefined;
  const peers = [off, on, offBefore, onBefore].filter((peer) => peer !== undefined);
  const names = ["without", "with inspection", "without, before the change", "with inspection, before the change"];
  if (layout !== undefined) for (const { pid } of peers) if (pid !== undefined) pin([pid], layout.proxy);
  const costs = peers.map((): number[] => []);
  // The first rounds only warm all; then in turns, each first in its share of the rounds.
  const warmUp = values.bulk ? 2 : 10;
  for (let round = -warmUp; round < rounds; round += 1) {
    if (round === 0) for (const list of costs) list.length = 0;
    for (let turn = 0; turn < peers.length; turn += 1) {
      const index = (turn + round + warmUp) % peers.length;
      const peer = peers[index];
      if (peer !== undefined) costs[index]?.push(await measure(peer, origin.port, order));
    }
  }
  const format = (cost: number): string => (values.bulk ? `${cost.toFixed(3)} s/GB` : `${cost.toFixed(1)} µs/tunnel`);
  process.stdout.write(`${fixture}, medians of ${rounds} rounds:\n`);
  for (const [index, list] of costs.entries()) {
    const without = costs[index - (index % 2)] ?? list;
    const differences = list.map((cost, round) => cost - (without[round] ?? cost)).toSorted((a, b) => a - b);
    const [low, middle, high] = [0.25, 0.5, 0.75].map((part) => format(findQuantile(differences, part)));
    const more = index % 2 === 0 ? "" : `: ${middle} more, half of the rounds between ${low} and ${high}`;
    process.stdout.write(`  ${format(takeMedian(list))} ${names[index]}${more}\n`);
  }
  origin.stop(true);
}
process.exit(0);

/** The value that this part of a sorted list stays below. */
function findQuantile(sorted: readonly number[], part: number): number {
  return sorted[Math.floor(sorted.length * part)] ?? 0;
}
