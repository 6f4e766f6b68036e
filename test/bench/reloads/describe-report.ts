import type { ReloadsReport } from "./run-reloads.ts";
import type { Tally } from "./tally.ts";

/** The report for people, as a table in Markdown. */
export function describeReport(report: ReloadsReport): string {
  const { clients, changes, streams, inLanes, failures, lost, rss, mistakes } = report;
  const rows: readonly (readonly [string, Tally | undefined])[] = [
    ["CONNECT, round trip, close", clients.connects],
    ["forwarded requests", clients.forwards],
    ["long tunnels in lanes", clients.tunnels.lanes],
    ["long tunnels in the relay", clients.tunnels.relay],
    ["long tunnels over TLS", clients.tunnels.tls],
    ...Object.entries(changes).map(([kind, tally]) => [`change of ${kind}`, tally] as const),
  ];
  const lines = [
    "| what | begun | done | failed | p50 ms | p99 ms | most ms |",
    "| --- | --: | --: | --: | --: | --: | --: |",
    ...rows.flatMap(([name, tally]) => (tally === undefined ? [] : [describeRow(name, tally)])),
    "",
    ...rows.flatMap(([name, tally]) => describeFailures(name, tally?.failed ?? {}, "failed")),
    ...rows.flatMap(([name, tally]) => describeFailures(name, tally?.excused ?? {}, "at a listener that was removed")),
    `${clients.seconds.toFixed(1)} s. Tunnels in lanes: ${inLanes}. Long tunnels carried ${megabytes(clients.tunnelBytes)}.`,
    `The origin saw ${streams.whole} long tunnels whole, ${streams.wrong} with wrong bytes, ${streams.reset} reset.`,
    `Resident memory of the proxy: ${rss.map(megabytes).join(", then ")}.`,
    ...mistakes,
    `Failed: ${failures}. Lost tunnels: ${lost}.`,
  ];
  return `${lines.join("\n")}\n`;
}

function describeRow(name: string, { started, done, failed, latency }: Tally): string {
  const failures = Object.values(failed).reduce((sum, count) => sum + count, 0);
  const times = name.startsWith("long") ? ["", "", ""] : [latency.p50, latency.p99, latency.max].map(format);
  return `| ${[name, started, done, failures, ...times].join(" | ")} |`;
}

function describeFailures(name: string, failures: Readonly<Record<string, number>>, how: string): string[] {
  return Object.entries(failures).map(([what, count]) => `${name}: ${count} × ${what} (${how})`);
}

function format(ms: number): string {
  return ms.toFixed(1);
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(0)} MB`;
}
