import { counter, type Family, gauge } from "./prometheus-text.ts";

/** What telemetry has told the collector, and what it could not tell. */
export interface TelemetryCounts {
  /** Whether the last export succeeded. */
  readonly up: boolean;
  readonly spansSent: number;
  /** Spans lost because the queue was full, or the collector did not take them. */
  readonly spansDropped: number;
  readonly queuedBytes: number;
  readonly exports: number;
  readonly failures: number;
}

/** Puts the exports to the collector into families. */
export function collectTelemetryFamilies(counts: TelemetryCounts): Family[] {
  return [
    gauge("penstock_telemetry_up", "1 while the collector takes what it is sent, else 0.", counts.up ? 1 : 0),
    gauge("penstock_telemetry_queue_bytes", "Bytes of spans that wait to be sent.", counts.queuedBytes),
    counter("penstock_telemetry_exports_total", "Requests that the collector accepted.", counts.exports),
    counter("penstock_telemetry_failures_total", "Requests that the collector did not accept.", counts.failures),
    counter("penstock_telemetry_spans_total", "Spans, by whether the collector took them or they were lost.", [
      { labels: { result: "sent" }, value: counts.spansSent },
      { labels: { result: "dropped" }, value: counts.spansDropped },
    ]),
  ];
}
