import { collectAcmeFamilies, type OrderedCertificate } from "./acme-families.ts";
import type { CheckCounts } from "../proxy/auth/credential-cache.ts";
import { describeFailure, type FailureDetail } from "../proxy/failure.ts";
import type { Metrics } from "../proxy/record/metrics.ts";
import type { NamedCount } from "../proxy/record/named-counts.ts";
import type { ApprovalCounts } from "../approvals/approval-table.ts";
import { collectApprovalFamilies } from "./approval-families.ts";
import { collectFleetFamilies, type FleetSource } from "./fleet-families.ts";
import type { ListStatus } from "../lists/list-status.ts";
import { collectListFamilies } from "./list-families.ts";
import { collectProcessFamilies } from "./process-families.ts";
import {
  counter,
  type Family,
  formatFamilies,
  formatOpenMetrics,
  gauge,
  histogram,
  type Sample,
} from "./prometheus-text.ts";
import { collectRequestFamilies, describeExemplar, listBuckets, type MovingBytes } from "./request-families.ts";
import { collectTelemetryFamilies, type TelemetryCounts } from "./telemetry-families.ts";
import { collectUpstreamFamilies } from "./upstream-families.ts";
import { collectUsageFamilies, type UsageSource } from "./usage-families.ts";
import type { PoolOrSingle } from "./upstreams.ts";

/** The sources of the metrics, read at each scrape. */
export interface MetricSources {
  readonly version: string;
  readonly metrics: Metrics;
  readonly live: {
    readonly size: number;
    visit(visit: (record: RoutedRecord, tunnel: { bytes(): { up: number; down: number } }) => void): void;
  };
  readonly accessLog: { readonly dropped: number };
  readonly auth: CheckCounts;
  readonly upstreams?: readonly PoolOrSingle[];
  /** Seconds that flows waited for their bandwidth, by limit, and who has buckets of their own. */
  readonly bandwidths?: { readonly parked: Readonly<Record<string, number>>; readonly shares: number };
  /** The splice lanes, where the system has them. */
  readonly lanes?: { readonly lanes: number; readonly tunnels: number; readonly lost: number };
  /** Connections to the sidecar itself, where there is one. */
  readonly sidecar?: { readonly open: number; readonly accepted: number; readonly evicted: number };
  /** Whether the last reload was successful, and when one was for the last time, in milliseconds since the epoch. */
  readonly reload?: { readonly successful: boolean; readonly succeededAt: number };
  /** The PAC files of upstreams; milliseconds since the epoch. */
  readonly pacs?: readonly {
    readonly name: string;
    readonly loadedAt: number | undefined;
    readonly fault: string | undefined;
    readonly failures: number;
  }[];
  /** The use of users; absent where nothing is counted. */
  readonly usage?: UsageSource;
  /** Absent where nothing is shared with other proxies. */
  readonly fleet?: FleetSource | undefined;
  /** Absent where no rule asks an operator. */
  readonly approvals?: ApprovalCounts | undefined;
  /** Absent where nothing is told to a collector. */
  readonly telemetry?: TelemetryCounts | undefined;
  /** Listeners that speak TLS; milliseconds since the epoch. */
  readonly certificates?: readonly { readonly listener: string; readonly expiresAt: number }[];
  /** Certificates that authorities issue. */
  readonly ordered?: readonly OrderedCertificate[];
  /** The lists of rules. */
  readonly lists?: readonly ListStatus[];
}

interface RoutedRecord {
  readonly route: { readonly name: string } | undefined;
}

/** `text`: version 0.0.4 of the Prometheus text format; `openmetrics`: OpenMetrics 1.0, which has exemplars. */
export type MetricsForm = "text" | "openmetrics";

/** All metrics in one of the forms that Prometheus reads. */
export function writeMetricsText(sources: MetricSources, form: MetricsForm = "text"): string {
  const families = collectFamilies(sources);
  return form === "text" ? formatFamilies(families) : formatOpenMetrics(families);
}

/** All metrics. */
export function collectFamilies(sources: MetricSources): Family[] {
  const moving = sumMoving(sources);
  return [
    ...collectProxyFamilies(sources, moving.all),
    ...collectRequestFamilies(sources.metrics, moving.byUpstream),
    ...collectUpstreamFamilies(sources.upstreams ?? []),
    ...(sources.usage === undefined ? [] : collectUsageFamilies(sources.usage)),
    ...(sources.ordered === undefined || sources.ordered.length === 0 ? [] : collectAcmeFamilies(sources.ordered)),
    ...(sources.lists === undefined || sources.lists.length === 0
      ? []
      : collectListFamilies(sources.lists, Date.now())),
    ...(sources.fleet === undefined ? [] : collectFleetFamilies(sources.fleet)),
    ...(sources.telemetry === undefined ? [] : collectTelemetryFamilies(sources.telemetry)),
    ...(sources.approvals === undefined ? [] : collectApprovalFamilies(sources.approvals)),
    ...collectProcessFamilies(),
  ];
}

interface Bytes {
  up: number;
  down: number;
}

/** Bytes of the tunnels under way. */
function sumMoving({ live, metrics }: MetricSources): { readonly all: Bytes; readonly byUpstream: MovingBytes } {
  const all: Bytes = { up: 0, down: 0 };
  const byUpstream = new Map<NamedCount, Bytes>();
  live.visit(({ route }, tunnel) => {
    const { up, down } = tunnel.bytes();
    all.up += up;
    all.down += down;
    if (route === undefined) return;
    const count = metrics.upstreams.get(route.name);
    const sum = byUpstream.get(count);
    if (sum === undefined) byUpstream.set(count, { up, down });
    else {
      sum.up += up;
      sum.down += down;
    }
  });
  return { all, byUpstream };
}

/** Puts the counts of the data plane into families. Labels are closed sets, or come from the configuration. */
function collectProxyFamilies(sources: MetricSources, moving: Bytes): Family[] {
  const { version, metrics, live, accessLog, auth, lanes, sidecar, reload, certificates = [], pacs = [] } = sources;
  return [
    gauge("penstock_build_info", "Always 1; the labels say what is running.", [
      { labels: { version, bun: Bun.version, platform: `${process.platform}-${process.arch}` }, value: 1 },
    ]),
    counter(
      "penstock_connections_total",
      "Client connections accepted.",
      mapRecord(Object.fromEntries(metrics.accepted), "listener"),
    ),
    counter(
      "penstock_connections_closed_total",
      "Client connections that are over, by what they spoke.",
      [...metrics.finished].flatMap(([listener, byProtocol]) =>
        Object.entries(byProtocol).map(([protocol, value]) => ({ labels: { listener, protocol }, value })),
      ),
    ),
    counter(
      "penstock_probes_total",
      "Client connections that ended before their first byte: health checks, connections in advance.",
      mapRecord(Object.fromEntries(metrics.probes), "listener"),
    ),
    gauge(
      "penstock_splice_available",
      "1 when the kernel can carry long tunnels, else 0.",
      lanes === undefined ? 0 : 1,
    ),
    gauge("penstock_splice_lanes", "Threads that carry tunnels through the kernel.", lanes?.lanes ?? 0),
    gauge("penstock_splice_tunnels", "Tunnels that the kernel carries.", lanes?.tunnels ?? 0),
    counter("penstock_splice_lanes_lost_total", "Splice threads that died.", lanes?.lost ?? 0),
    gauge(
      "penstock_certificate_expiry_seconds",
      "Unix time at which the first certificate of a listener expires.",
      certificates.map(({ listener, expiresAt }) => ({ labels: { listener }, value: expiresAt / 1000 })),
    ),
    ...(reload === undefined
      ? []
      : [
          gauge(
            "penstock_config_last_reload_successful",
            "1 when the last reload, or the start, was successful, else 0.",
            reload.successful ? 1 : 0,
          ),
          gauge(
            "penstock_config_last_reload_success_timestamp_seconds",
            "Unix time of the last successful reload, or of the start.",
            reload.succeededAt / 1000,
          ),
        ]),
    ...(pacs.length === 0 ? [] : collectPacs(pacs)),
    gauge("penstock_connections_open", "Client connections under way.", metrics.connectionsOpen),
    counter("penstock_requests_total", "Forwarded HTTP requests that are over.", metrics.requests),
    gauge("penstock_tunnels_open", "Tunnels under way.", live.size),
    counter(
      "penstock_tunnels_total",
      "Tunnels that are over, by how they ended.",
      mapRecord(metrics.tunnelEnds, "end"),
    ),
    counter(
      "penstock_bytes_total",
      "Payload bytes of tunnels, and bytes of forwarded messages: up is from client to target.",
      [
        { labels: { direction: "up" }, value: metrics.bytesUp + moving.up },
        { labels: { direction: "down" }, value: metrics.bytesDown + moving.down },
      ],
    ),
    counter(
      "penstock_failures_total",
      "Connections that failed, by RFC 9209 error type and precise reason.",
      Object.entries(metrics.failures).map(([detail, value]) => {
        const exemplar = metrics.failureExemplars.get(detail as FailureDetail);
        return {
          labels: { word: describeFailure(detail as FailureDetail).word, detail },
          value,
          exemplar: exemplar && describeExemplar(exemplar, 1),
        };
      }),
    ),
    counter(
      "penstock_limited_total",
      "Requests that a limit refused or ended, by the name of the limit.",
      mapRecord(Object.fromEntries(metrics.limited), "limit"),
    ),
    histogram(
      "penstock_stage_seconds",
      "Time that connections spent in each stage.",
      Object.entries(metrics.stages).flatMap(([stage, timings]) => listBuckets(timings, { stage })),
    ),
    counter(
      "penstock_inside_total",
      "Tunnels that were looked into and are over, by what their first bytes are.",
      mapRecord(metrics.inside, "protocol"),
    ),
    counter(
      "penstock_tls_sessions_total",
      "TLS sessions that began inside tunnels, by the version that the server chose.",
      Object.entries(metrics.tlsSessions).flatMap(([tls, { full, resumed }]) => [
        { labels: { version: tls, handshake: "full" }, value: full },
        { labels: { version: tls, handshake: "resumed" }, value: resumed },
      ]),
    ),
    histogram(
      "penstock_tls_handshake_seconds",
      "Time from ClientHello to the end of TLS handshakes inside tunnels.",
      listBuckets(metrics.tlsHandshake, {}),
    ),
    histogram("penstock_tunnel_seconds", "How long tunnels lived.", listBuckets(metrics.tunnelDuration, {})),
    counter("penstock_auth_checks_total", "Hashed or delegated passwords, by whether the verdict was remembered.", [
      { labels: { cache: "hit" }, value: auth.hits },
      { labels: { cache: "miss" }, value: auth.misses },
    ]),
    gauge("penstock_sidecar_connections_open", "Connections to the sidecar under way.", sidecar?.open ?? 0),
    counter(
      "penstock_sidecar_connections_total",
      "Connections to the sidecar that were accepted.",
      sidecar?.accepted ?? 0,
    ),
    counter(
      "penstock_sidecar_connections_evicted_total",
      "Connections to the sidecar closed because there were too many, in all or from one address.",
      sidecar?.evicted ?? 0,
    ),
    counter(
      "penstock_parked_seconds_total",
      "Time that tunnels and forwarded requests waited for their bandwidth, each direction for itself, by limit.",
      mapRecord(sources.bandwidths?.parked ?? {}, "limit"),
    ),
    gauge(
      "penstock_bandwidth_shares",
      "Users, clients and rules whose bandwidth is limited and in use, or was a moment ago.",
      sources.bandwidths?.shares ?? 0,
    ),
    counter(
      "penstock_access_log_dropped_total",
      "Access lines lost because the reader was too slow or failed.",
      accessLog.dropped,
    ),
  ];
}

function collectPacs(pacs: NonNullable<MetricSources["pacs"]>): Family[] {
  const list = (read: (pac: (typeof pacs)[number]) => number): Sample[] =>
    pacs.map((pac) => ({ labels: { upstream: pac.name }, value: read(pac) }));
  return [
    gauge(
      "penstock_pac_usable",
      "1 when the newest PAC file of an upstream is in use, 0 when it could not be fetched or used.",
      list(({ fault, loadedAt }) => (fault === undefined && loadedAt !== undefined ? 1 : 0)),
    ),
    gauge(
      "penstock_pac_loaded_timestamp_seconds",
      "Unix time at which the PAC file in use was loaded; 0 when there is none.",
      list(({ loadedAt = 0 }) => loadedAt / 1000),
    ),
    counter(
      "penstock_pac_failures_total",
      "PAC files that could not be fetched or used.",
      list(({ failures }) => failures),
    ),
  ];
}

function mapRecord(counts: Readonly<Record<string, number>>, label: string): Sample[] {
  return Object.entries(counts).map(([key, value]) => ({ labels: { [label]: key }, value }));
}
