import type { CheckCounts } from "../proxy/auth/credential-cache.ts";
import { describeFailure, type FailureDetail } from "../proxy/failure.ts";
import type { Histogram } from "../proxy/record/histogram.ts";
import type { Metrics } from "../proxy/record/metrics.ts";
import { collectProcessFamilies } from "./process-families.ts";
import { counter, type Family, formatFamilies, gauge, histogram, type Sample } from "./prometheus-text.ts";
import { collectUpstreamFamilies } from "./upstream-families.ts";
import type { PoolOrSingle } from "./upstreams.ts";

/** The sources of the metrics, read at each scrape. */
export interface MetricSources {
  readonly version: string;
  readonly metrics: Metrics;
  readonly live: { readonly size: number; bytes(): { up: number; down: number } };
  readonly accessLog: { readonly dropped: number };
  readonly auth: CheckCounts;
  readonly upstreams?: readonly PoolOrSingle[];
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
  /** Listeners that speak TLS; milliseconds since the epoch. */
  readonly certificates?: readonly { readonly listener: string; readonly expiresAt: number }[];
}

/** All metrics in the Prometheus text format. */
export function writeMetricsText(sources: MetricSources): string {
  return formatFamilies([
    ...collectProxyFamilies(sources),
    ...collectUpstreamFamilies(sources.upstreams ?? []),
    ...collectProcessFamilies(),
  ]);
}

/** Puts the counts of the data plane into families. Labels are closed sets, or come from the configuration. */
function collectProxyFamilies(sources: MetricSources): Family[] {
  const { version, metrics, live, accessLog, auth, lanes, sidecar, reload, certificates = [], pacs = [] } = sources;
  const moving = live.bytes();
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
      Object.entries(metrics.failures).map(([detail, value]) => ({
        labels: { word: describeFailure(detail as FailureDetail).word, detail },
        value,
      })),
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

/** Cumulated buckets in seconds, then sum and count, as Prometheus wants a histogram. */
function listBuckets(
  { boundsMs, counts, count, sumMs }: Histogram,
  labels: Readonly<Record<string, string>>,
): Sample[] {
  let below = 0;
  const buckets = boundsMs.map((bound, index): Sample => {
    below += counts[index] ?? 0;
    return { suffix: "_bucket", labels: { ...labels, le: String(bound / 1000) }, value: below };
  });
  return [
    ...buckets,
    { suffix: "_bucket", labels: { ...labels, le: "+Inf" }, value: count },
    { suffix: "_sum", labels, value: sumMs / 1000 },
    { suffix: "_count", labels, value: count },
  ];
}
