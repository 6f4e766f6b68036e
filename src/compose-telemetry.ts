import type { CompiledConfig } from "./config/compile.ts";
import type { Gate } from "./gate/gate.ts";
import { postJson } from "./net/http/exchange.ts";
import type { TraceReceiver } from "./proxy/record/recorder.ts";
import { Tracing } from "./proxy/trace/tracing.ts";
import { collectFamilies, type MetricSources } from "./sidecar/metrics-text.ts";
import type { TelemetryCounts } from "./sidecar/telemetry-families.ts";
import { ExportCounts, Exporter } from "./telemetry/exporter.ts";
import type { Tell } from "./operator-message.ts";
import { listMetrics } from "./telemetry/metric-points.ts";
import { type TelemetryPlan, writeDestination } from "./telemetry/telemetry-plan.ts";
import { writeSpans } from "./telemetry/trace-spans.ts";
import { version } from "./version.ts";

/** What tells a collector of the proxy. */
export interface TelemetryParts {
  /** Undefined where there is no collector. */
  readonly counts: TelemetryCounts | undefined;
  /** Takes the traces of the gate. */
  readonly traces: TraceReceiver;
  /** Begins to trace and to tell. */
  start(gate: Gate, readSources: () => MetricSources): void;
  /** Follows another configuration. */
  follow(compiled: Pick<CompiledConfig, "telemetry">): void;
  /** Tells what is left. */
  stop(): Promise<void>;
}

/** Composes what tells a collector. It costs nothing where none is configured. */
export function composeTelemetry({ telemetry: first }: Pick<CompiledConfig, "telemetry">, tell: Tell): TelemetryParts {
  const counts = new ExportCounts();
  let gate: Gate | undefined;
  let read: () => MetricSources;
  let running: { readonly destination: string; readonly exporter: Exporter } | undefined;
  let stopping: Promise<void> = Promise.resolve();
  const since = Date.now();

  const open = (plan: TelemetryPlan, instance: string): Exporter =>
    new Exporter({
      plan,
      counts,
      tell,
      post: postJson,
      teller: { service: plan.service, version, instance },
      readMetrics: () => listMetrics(collectFamilies(read()), { since, now: Date.now() }),
      random: Math.random,
    });
  const use = (plan: TelemetryPlan | undefined): void => {
    if (gate === undefined) return;
    const destination = plan && writeDestination(plan);
    if (running !== undefined && running.destination !== destination) {
      stopping = Promise.all([stopping, running.exporter.stop()]).then(() => {});
      running = undefined;
    }
    if (plan !== undefined && destination !== undefined)
      running ??= { destination, exporter: open(plan, gate.ids.prefix) };
    const isTracing = plan !== undefined && (plan.sample > 0 || plan.trustFrom !== undefined);
    gate.tracing = isTracing ? new Tracing({ ...plan, random: Math.random }) : undefined;
  };
  return {
    get counts() {
      return running === undefined ? undefined : counts;
    },
    traces: {
      finished: (record, trace, access, now) => running?.exporter.push(writeSpans(record, trace, access, now)),
    },
    start(started, readSources) {
      gate = started;
      read = readSources;
      use(first);
    },
    follow: ({ telemetry }) => use(telemetry),
    async stop() {
      if (gate !== undefined) gate.tracing = undefined;
      await Promise.all([stopping, running?.exporter.stop()]);
    },
  };
}
