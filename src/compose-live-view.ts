import type { InUse } from "./apply-config.ts";
import { CertificateReporter, warnOfCertificates } from "./certificate-report.ts";
import type { Drain } from "./drain.ts";
import type { Gate } from "./gate/gate.ts";
import type { CarriedState } from "./handover/carried-state.ts";
import { carrySeries } from "./handover/carried-series.ts";
import type { LanePool } from "./net/conn/lanes.ts";
import type { ListStatus } from "./lists/list-status.ts";
import { fitConnections } from "./operator-reports.ts";
import { LiveFeed } from "./proxy/record/live/live-feed.ts";
import { Series } from "./proxy/record/live/series.ts";
import type { LiveView, Readiness } from "./sidecar/control-port.ts";
import { liveForm } from "./sidecar/live.ts";
import { formatSeries } from "./sidecar/series.ts";
import type { StatusAnswer } from "./sidecar/status.ts";
import { describeTunnel } from "./sidecar/tunnel-details.ts";
import type { UpstreamState } from "./sidecar/upstreams.ts";
import { runInTurns } from "./steps.ts";
import { version } from "./version.ts";

/** The parts of a daemon that the live view shows. */
export interface ShownParts {
  readonly gate: Gate;
  readonly drain: Pick<Drain, "phase">;
  readonly inUse: InUse;
  readonly lanes: Pick<LanePool, "moved"> | undefined;
  readonly readiness: () => Promise<Readiness>;
  readonly upstreams: () => readonly UpstreamState[];
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
}

/** What a daemon does with its live view. */
export interface LiveViewParts {
  readonly view: LiveView;
  /** What the next process is to know. */
  readonly carried: CarriedState;
  /** Counts while a sidecar is configured, and only then. */
  follow(): void;
  /** Ends all who watch now: they come again, and may find another process. */
  endWatches(): void;
  /** Ends them and all counting. */
  stop(): void;
}

/** Composes what the page and the terminal show. Without a sidecar nothing is counted or kept for it, and no timer runs. */
export function composeLiveView(parts: ShownParts): LiveViewParts {
  const { gate, inUse, lanes } = parts;
  const reporter = new CertificateReporter();
  const report = (now: number) => reporter.report(gate, inUse, now, inUse.ordered?.());
  const { metrics, live, counters } = gate;
  const traffic = () => {
    const laned = lanes?.moved();
    return { up: gate.traffic.up.bytes + (laned?.up ?? 0), down: gate.traffic.down.bytes + (laned?.down ?? 0) };
  };
  let series = new Series({ traffic, counters, metrics, live });
  const feed = new LiveFeed({ table: live, form: liveForm, series: () => series });
  let timer: NodeJS.Timeout | undefined;
  const arm = () => {
    // A millisecond more: timers may be early.
    timer = setTimeout(() => void beat(), series.dueInMs + 1).unref();
  };
  const beat = async () => {
    const mine = series;
    if (mine.tick()) await runInTurns(feed.tick(), parts.turn);
    // Another one may have begun meanwhile, or none is wanted any more.
    if (mine === series && counters.enabled) arm();
  };
  const started = { at: Date.now(), clock: performance.now() };
  const uptime = () => performance.now() - started.clock;
  return {
    carried: carrySeries(() => (counters.enabled ? series : undefined)),
    follow() {
      const isWanted = inUse.compiled.sidecar !== undefined;
      if (isWanted === counters.enabled) return;
      counters.enabled = isWanted;
      clearTimeout(timer);
      if (!isWanted) return;
      series = new Series({ traffic, counters, metrics, live });
      arm();
    },
    endWatches: () => feed.close(),
    stop() {
      clearTimeout(timer);
      counters.enabled = false;
      feed.close();
    },
    view: {
      live: feed,
      series: (span) => formatSeries(series, span, Date.now()),
      tunnel: (id) => describeTunnel(gate.live, id, performance.now()),
      certificates: () => report(Date.now()),
      async status() {
        const readiness = await parts.readiness();
        const now = Date.now();
        const certificates = report(now);
        return {
          version,
          pid: process.pid,
          started_at: new Date(started.at).toISOString(),
          uptime_ms: Math.round(uptime()),
          ...describeReadiness(readiness, parts),
          warnings: [
            ...(readiness.warning === undefined ? [] : [readiness.warning]),
            ...warnOfCertificates(certificates, now),
          ],
          listeners: (gate.listeners ?? []).map(({ name }, at) => ({
            address: name,
            tls: inUse.plans[at]?.tls !== undefined,
            accepted: metrics.accepted.get(name) ?? 0,
          })),
          ...countNow(gate),
          connection_limit: fitConnections(gate.runtime.current.limits.inAll.connections),
          ...prefixBytes(traffic()),
          ...describeSeries(series),
          upstreams: countMembers(parts.upstreams()),
          certificates: certificates.map(({ names, file, days }) => ({ name: names[0] ?? file, days })),
          lists: (inUse.lists?.() ?? []).map(describeList),
          memory_bytes: process.memoryUsage.rss(),
        };
      },
    },
  };
}

function describeReadiness(
  readiness: Readiness,
  { gate, drain }: ShownParts,
): Pick<StatusAnswer, "phase" | "ready" | "reason"> {
  const isStarting = gate.listeners === undefined && drain.phase === "serving";
  return {
    phase: isStarting ? "starting" : drain.phase,
    ready: readiness.ready,
    ...(!readiness.ready && { reason: readiness.reason }),
  };
}

function countNow({ metrics, live }: Gate): Pick<StatusAnswer, "connections" | "tunnels" | "requests" | "totals"> {
  const sum = (counts: Readonly<Record<string, number>>) =>
    Object.values(counts).reduce((total, count) => total + count, 0);
  return {
    connections: metrics.connectionsOpen,
    tunnels: live.size,
    requests: live.countRequests(),
    totals: {
      connections: metrics.acceptedInAll,
      tunnels: sum(metrics.tunnelEnds),
      requests: metrics.requests,
      failures: sum(metrics.failures),
    },
  };
}

function prefixBytes({ up, down }: { readonly up: number; readonly down: number }) {
  return { bytes_up: up, bytes_down: down };
}

function describeSeries(
  series: Series,
): Pick<StatusAnswer, "rate" | "connects_per_s" | "requests_per_s" | "dial_ms" | "refusals"> {
  const rates = series.measureRates();
  const { count, p50, p99 } = series.measureDials();
  const round = (value: number) => Math.round(value * 100) / 100;
  return {
    rate: { up: Math.round(rates.up), down: Math.round(rates.down) },
    connects_per_s: round(rates.connects),
    requests_per_s: round(rates.requests),
    dial_ms: { count, p50: count === 0 ? null : round(p50), p99: count === 0 ? null : round(p99) },
    refusals: series.countFailures(),
  };
}

function describeList({ name, state, entries, readAt, failures, fault }: ListStatus): StatusAnswer["lists"][number] {
  return {
    name,
    state,
    entries,
    ...(readAt !== undefined && { read_at: new Date(readAt).toISOString() }),
    failures,
    ...(fault !== undefined && { why: fault }),
  };
}

/** Members of pools, and proxies that PAC files named. What is disabled is neither. */
function countMembers(upstreams: readonly UpstreamState[]): StatusAnswer["upstreams"] {
  const members = upstreams.flatMap((upstream) => ("members" in upstream ? upstream.members : []));
  const used = members.filter(({ disabled }) => !disabled);
  const healthy = used.filter(({ health }) => health === "healthy").length;
  return { healthy, unhealthy: used.length - healthy };
}
