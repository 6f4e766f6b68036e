import { type MeasuredParts, readMetricSources } from "./compose-metrics.ts";
import { listBrowserListeners, writeBrowserPac } from "./browser-pac.ts";
import type { Drain } from "./drain.ts";
import { controlDrain, controlTunnels, controlUpstreams, readReadiness } from "./open-sidecar.ts";
import type { ControlPort } from "./sidecar/control-port.ts";
import { writeMetricsText } from "./sidecar/metrics-text.ts";
import { UsageReporter } from "./usage-report.ts";

/** The parts of a daemon that the sidecar shows and controls. */
export interface ControlledParts extends MeasuredParts, Pick<ControlPort, "reload" | "handOver"> {
  readonly drain: Drain;
  /** What `/config` says of the kernel's part, and of the event loop. */
  readonly splicing: string;
  readonly driving: string;
}

/** Composes what the sidecar asks the daemon. */
export function composeControl(parts: ControlledParts): ControlPort {
  const { gate, drain, inUse, use, fleet, pacs, splicing, driving, reloads, reload, handOver } = parts;
  const limits = () => gate.runtime.current.limits;
  const usage = new UsageReporter({ parts: use, live: gate.live, limits, since: Date.now() });
  return {
    ...controlTunnels(gate),
    usage,
    upstreams: controlUpstreams(gate, pacs),
    events: gate.events,
    drain: controlDrain(drain, () => inUse.sidecar?.sidecar.yieldAddress()),
    ...(reload && { reload }),
    ...(handOver && { handOver }),
    readiness: () => readReadiness(gate, drain, { reloaded: reloads().successful, pacs: pacs.statuses, use, fleet }),
    proxyPac: (host) => writeBrowserPac(listBrowserListeners(gate, inUse.plans), inUse.compiled.browserPac, host),
    effectiveConfig: () => ({ ...inUse.compiled.effective, splicing, driving }),
    metricsText: (form) => writeMetricsText(readMetricSources(parts), form),
  };
}
