/**
 * A flood of client addresses against limits for each client: what it costs, how
 * memory grows, and what clients notice that were there before.
 *
 *     bun test/bench/address-flood.ts [--addresses 1000000] [--in-flight 64] [--seconds 1800]
 *
 * Each address connects once, as a PROXY header says, and asks for a tunnel; every
 * twentieth gets it. After `--seconds` no more come. `TEST_EXECUTABLE` names another executable than dist/penstock.
 */
import { parseArgs } from "node:util";
import { FLOOD_LIMITS, runFlood } from "../support/run-flood.ts";

const { values } = parseArgs({
  options: {
    addresses: { type: "string", default: "1000000" },
    "in-flight": { type: "string", default: "64" },
    seconds: { type: "string", default: "1800" },
  },
});
const say = (line: string): void => void process.stdout.write(`${line}\n`);
/** Seconds between two lines about memory. */
const EACH = 10;

let lastAt = -EACH;
const outcome = await runFlood(
  Number(values.addresses),
  ({ seconds, done, rssBytes }) => {
    if (seconds - lastAt < EACH) return;
    lastAt = seconds;
    say(
      `${seconds.toFixed(0).padStart(5)} s  ${String(done).padStart(8)} addresses  ${(rssBytes / 1e6).toFixed(1)} MB`,
    );
  },
  { inFlight: Number(values["in-flight"]), quietMs: 5000, mostSeconds: Number(values.seconds) },
);
const { flood, seconds, roundTrips, beyondLimit, hasty, seldom, use, entries, samples } = outcome;
const at = (times: readonly number[], share: number): string =>
  (times.toSorted((a, b) => a - b)[Math.floor(share * times.length)] ?? 0).toFixed(2);
const tell = (times: readonly number[]): string =>
  `median ${at(times, 0.5)} ms, p99 ${at(times, 0.99)} ms, most ${at(times, 0.9999)} ms of ${times.length}`;
const most = ({ seconds: lasted }: { readonly seconds: number }): number =>
  Math.floor(FLOOD_LIMITS.ratePerMinute * (1 + lasted / 60));
const peak = Math.max(...samples.map(({ rssBytes }) => rssBytes));
say(
  `flood: ${JSON.stringify(Object.fromEntries(flood.answers))}, ${flood.unanswered} without an answer, in ${seconds.toFixed(0)} s`,
);
say(
  `proxy: ${outcome.cpuMicroseconds.toFixed(0)} µs of CPU for each address; memory at the end ${((samples.at(-1)?.rssBytes ?? 0) / 1e6).toFixed(1)} MB, at most ${(peak / 1e6).toFixed(1)} MB; entries ${JSON.stringify(entries)}`,
);
say(`active client, round trip before: ${tell(roundTrips.before)}`);
say(`active client, round trip during: ${tell(roundTrips.during)}`);
say(`active client, connections beyond its limit: ${JSON.stringify(Object.fromEntries(beyondLimit))}`);
say(`active client, bytes: ${use.moved} moved, ${use.counted} counted`);
say(`client that asks 10 times a second: ${hasty.allowed} allowed of at most ${most(hasty)}, ${hasty.refused} refused`);
say(
  `client that asks for all it gets every 30 s: ${seldom.allowed} allowed of at most ${most(seldom)}, ${seldom.refused} refused`,
);
