import type { Exemplar, Histogram } from "../proxy/record/histogram.ts";
import type { Metrics } from "../proxy/record/metrics.ts";
import type { NamedCount } from "../proxy/record/named-counts.ts";
import { counter, type Family, formatBound, histogram, type Sample, type SampleExemplar } from "./prometheus-text.ts";

/** Bytes that the tunnels under way have moved, by their route. */
export type MovingBytes = ReadonlyMap<NamedCount, { readonly up: number; readonly down: number }>;

/**
 * Puts what was counted by rule and by upstream into families. The labels are names
 * of the configuration, a bounded number of them.
 */
export function collectRequestFamilies({ rules, upstreams }: Metrics, moving: MovingBytes): Family[] {
  const byRule = [...rules];
  const byUpstream = [...upstreams];
  const bytes = (direction: "up" | "down"): Sample[] =>
    byUpstream.map((count) => ({
      labels: { upstream: count.name, direction },
      value: (direction === "up" ? count.bytesUp : count.bytesDown) + (moving.get(count)?.[direction] ?? 0),
    }));
  return [
    counter(
      "penstock_rule_requests_total",
      "Tunnels and forwarded requests that are over, by the rule that decided.",
      byRule.map(({ name, requests }) => ({ labels: { rule: name }, value: requests })),
    ),
    counter(
      "penstock_rule_failures_total",
      "Tunnels and forwarded requests that failed, by the rule that decided and RFC 9209 error type.",
      listFailures(byRule, "rule"),
    ),
    counter(
      "penstock_reported_total",
      "Tunnels and forwarded requests that are over and would have been refused, by the rule that only reported it and the precise reason.",
      byRule.flatMap(({ name, reported }) =>
        Array.from(reported, ([detail, value]) => ({ labels: { rule: name, detail }, value })),
      ),
    ),
    counter(
      "penstock_upstream_requests_total",
      "Tunnels and forwarded requests that are over, by the upstreams on their route; direct without one.",
      byUpstream.map(({ name, requests }) => ({ labels: { upstream: name }, value: requests })),
    ),
    counter(
      "penstock_upstream_failures_total",
      "Tunnels and forwarded requests that failed, by the upstreams on their route and RFC 9209 error type.",
      listFailures(byUpstream, "upstream"),
    ),
    counter(
      "penstock_upstream_bytes_total",
      "Bytes of tunnels and of forwarded messages, by the upstreams on their route.",
      [...bytes("up"), ...bytes("down")],
    ),
    histogram(
      "penstock_upstream_dial_seconds",
      "Time that dialling took, by the upstreams on the route: resolving, connecting and all handshakes.",
      byUpstream.flatMap(({ name, dial }) => listBuckets(dial, { upstream: name })),
    ),
  ];
}

function listFailures(counts: readonly NamedCount[], label: string): Sample[] {
  return counts.flatMap(({ name, failures }) =>
    Array.from(failures, ([word, { count, exemplar }]) => ({
      labels: { [label]: name, word },
      value: count,
      exemplar: exemplar && describeExemplar(exemplar, 1),
    })),
  );
}

/** Cumulated buckets in seconds, then sum and count, as Prometheus wants a histogram. */
export function listBuckets(
  { boundsMs, counts, exemplars, count, sumMs }: Histogram,
  labels: Readonly<Record<string, string>>,
): Sample[] {
  let below = 0;
  const buckets = counts.map((inBucket, index): Sample => {
    below += inBucket;
    const bound = boundsMs[index];
    const exemplar = exemplars[index];
    return {
      suffix: "_bucket",
      labels: { ...labels, le: bound === undefined ? "+Inf" : formatBound(bound / 1000) },
      value: below,
      exemplar: exemplar && describeExemplar(exemplar, 1000),
    };
  });
  return [...buckets, { suffix: "_sum", labels, value: sumMs / 1000 }, { suffix: "_count", labels, value: count }];
}

/** `scale`: how many of its units are one of the metric. */
export function describeExemplar({ id, traceId, value, at }: Exemplar, scale: number): SampleExemplar {
  return {
    labels: { connection_id: id, ...(traceId !== undefined && { trace_id: traceId }) },
    value: value / scale,
    at: (Date.now() - performance.now() + at) / 1000,
  };
}
