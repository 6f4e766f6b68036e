/**
 * What it costs to look at TLS handshakes: CPU of the proxy with inspection on
 * against off, in one run.
 *
 *     bun test/bench/inspection.ts [--rounds N] [--only TEXT] [--bulk]
 *
 * Per tunnel of CONNECT, a handshake and close; with `--bulk` per gigabyte that
 * follows the handshake. A recorded handshake is replayed by both ends, so that
 * no cryptography disturbs the figures.
 */
import { parseArgs } from "node:util";
import { replayTunnels, type ReplayOrder, startReplayOrigin } from "./load/replay.ts";
import { readThreadSeconds } from "./measure.ts";
import type { RunningPeer } from "./peer.ts";
import { definePenstock } from "./peers/penstock.ts";
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

for (const fixture of fixtures) {
  const order = { fixture, bulkBytes };
  const origin = startReplayOrigin(order);
  await using off = await definePenstock("off", { inspect: { tls: false } }).start(origin);
  await using on = await definePenstock("on", {}).start(origin);
  const costs: { off: number[]; on: number[] } = { off: [], on: [] };
  const measureOne = async (which: "off" | "on"): Promise<void> => {
    costs[which].push(await measure(which === "on" ? on : off, origin.port, order));
  };
  // The first rounds only warm both; then in turns, each first in every other round.
  const warmUp = values.bulk ? 2 : 10;
  for (let round = -warmUp; round < rounds; round += 1) {
    if (round === 0) costs.off.length = costs.on.length = 0;
    const [first, second] = round % 2 === 0 ? (["off", "on"] as const) : (["on", "off"] as const);
    await measureOne(first);
    await measureOne(second);
  }
  const ratios = costs.on.map((cost, round) => cost / (costs.off[round] ?? cost));
  const format = (cost: number): string => (values.bulk ? `${cost.toFixed(3)} s/GB` : `${cost.toFixed(0)} µs/tunnel`);
  const [low, middle, high] = [0.25, 0.5, 0.75].map((part) => findQuantile(ratios, part));
  process.stdout.write(
    `${fixture}: ${format(takeMedian(costs.off))} without, ${format(takeMedian(costs.on))} with inspection; ` +
      `of ${rounds} pairs the median is ${middle} %, half of them between ${low} and ${high} %\n`,
  );
  origin.stop(true);
}
process.exit(0);

/** How much more the second of a pair is, in percent: the value that this part of the pairs stays below. */
function findQuantile(ratios: readonly number[], part: number): string {
  const sorted = ratios.toSorted((a, b) => a - b);
  const more = ((sorted[Math.floor(sorted.length * part)] ?? 1) - 1) * 100;
  return `${more < 0 ? "−" : "+"}${Math.abs(more).toFixed(1)}`;
}
