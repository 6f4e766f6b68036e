/**
 * What clients notice of reloads: 500 CONNECTs a second, forwarded requests and 500 long
 * tunnels, while the configuration changes 100 times and ten new processes take over.
 *
 *     bun test/bench/reloads.ts [--reloads N] [--handovers N] [--seconds S] [--rate N] [--tunnels N] [--json FILE]
 *
 * Of ten reloads two change certificates, two add or remove a listener, two find a broken
 * file, and four change rules, users, upstreams and limits. Half of the long tunnels are in
 * lanes, a quarter comes over TLS; both ends check by hash what arrived. Ends with 1 when a
 * request failed or a tunnel was lost. `TEST_EXECUTABLE` names another executable than
 * dist/penstock.
 */
import { parseArgs } from "node:util";
import { describeReport } from "./reloads/describe-report.ts";
import { runReloads } from "./reloads/run-reloads.ts";

const { values } = parseArgs({
  options: {
    reloads: { type: "string", default: "100" },
    handovers: { type: "string", default: "10" },
    seconds: { type: "string", default: "60" },
    rate: { type: "string", default: "500" },
    tunnels: { type: "string", default: "500" },
    json: { type: "string" },
  },
});
const reloads = readCount("reloads");
const tunnels = readCount("tunnels");
const lanes = Math.floor(tunnels / 2);
const relay = Math.floor(tunnels / 4);

const report = await runReloads({
  reloads,
  handovers: readCount("handovers"),
  everyMs: (readCount("seconds") * 1000) / Math.max(1, reloads + readCount("handovers")),
  connectsPerSecond: readCount("rate"),
  tlsEach: 10,
  forwarders: 10,
  tunnels: { lanes, relay, tls: tunnels - lanes - relay },
  laneBytes: 262_144,
});
process.stdout.write(describeReport(report));
if (values.json !== undefined) await Bun.write(values.json, `${JSON.stringify(report, undefined, 2)}\n`);
process.exit(report.failures + report.lost + report.mistakes.length > 0 ? 1 : 0);

function readCount(name: "reloads" | "handovers" | "seconds" | "rate" | "tunnels"): number {
  const value = Number(values[name]);
  if (!Number.isInteger(value) || value < 0 || value > 100_000)
    throw new Error(`--${name} is "${values[name]}": a whole number up to 100000 is wanted.`);
  return value;
}
