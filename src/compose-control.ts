import type { InUse } from "./apply-config.ts";
import { listBrowserListeners, writeBrowserPac } from "./browser-pac.ts";
import type { FleetParts } from "./compose-fleet.ts";
import type { UsageParts } from "./compose-usage.ts";
import { composeLiveView, type LiveViewParts } from "./compose-live-view.ts";
import type { Drain } from "./drain.ts";
import type { Gate } from "./gate/gate.ts";
import type { LanePool } from "./net/conn/lanes.ts";
import { controlDrain, controlTunnels, controlUpstreams, listUpstreams, readReadiness } from "./open-sidecar.ts";
import type { PacFiles } from "./pac/pac-files.ts";
import { listCertificates } from "./prepare-listeners.ts";
import type { AccessLog } from "./proxy/record/access-log.ts";
import type { Reloader } from "./reloader.ts";
import type { ControlPort } from "./sidecar/control-port.ts";
import { writeMetricsText } from "./sidecar/metrics-text.ts";
import { UsageReporter } from "./usage-report.ts";
import { version } from "./version.ts";

/** The parts of a daemon that the sidecar shows and controls. */
export interface ControlledParts extends Pick<ControlPort, "reload" | "handOver"> {
  readonly gate: Gate;
  readonly drain: Drain;
  readonly inUse: InUse;
  readonly accessLog: AccessLog;
  readonly use: UsageParts;
  readonly fleet: Pick<FleetParts, "status">;
  readonly lanes: LanePool | undefined;
  readonly pacs: PacFiles;
  /** What `/config` says of the kernel's part, and of the event loop. */
  readonly splicing: string;
  readonly driving: string;
  /** Made after the sidecar. */
  readonly reloads: () => Reloader;
}

/** What the sidecar asks the daemon, and what the daemon does with it. */
export interface Control extends ControlPort, Pick<LiveViewParts, "carried" | "follow"> {
  /** Ends all who watch. */
  stop(): void;
}

/** Composes what the sidecar asks the daemon. */
export function composeControl(parts: ControlledParts): Control {
  const { gate, drain, inUse, accessLog, use, fleet, lanes, pacs, splicing, driving, reloads, reload, handOver } =
    parts;
  const limits = () => gate.runtime.current.limits;
  const usage = new UsageReporter({ parts: use, tables: gate, live: gate.live, limits, since: Date.now() });
  const upstreams = controlUpstreams(gate, pacs);
  const readiness = () =>
    readReadiness(gate, drain, { reloaded: reloads().successful, pacs: pacs.statuses, use, fleet });
  const live = composeLiveView({ gate, drain, inUse, lanes, readiness, upstreams: () => upstreams.list() });
  return {
    ...controlTunnels(gate),
    view: live.view,
    carried: live.carried,
    follow: () => live.follow(),
    stop() {
      live.stop();
      gate.events.close();
    },
    usage,
    upstreams,
    events: gate.events,
    drain: controlDrain(drain, () => inUse.sidecar?.sidecar.yieldAddress()),
    ...(reload && { reload }),
    ...(handOver && { handOver }),
    readiness,
    proxyPac: (host) => writeBrowserPac(listBrowserListeners(gate, inUse.plans), inUse.compiled.browserPac, host),
    effectiveConfig: () => ({ ...inUse.compiled.effective, splicing, driving }),
    metricsText: () =>
      writeMetricsText({
        version,
        metrics: gate.metrics,
        live: gate.live,
        accessLog,
        auth: gate.checks.cache,
        upstreams: listUpstreams(gate),
        certificates: listCertificates(gate, inUse.plans),
        reload: reloads(),
        pacs: pacs.statuses,
        usage: {
          tables: use.usage.tables,
          period: use.usage.clock.period,
          limits: limits(),
          keeper: use.keeper?.status,
        },
        fleet: fleet.status,
        ...(inUse.sidecar && { sidecar: inUse.sidecar.sidecar.connections }),
        bandwidths: { parked: gate.bandwidths.parkedSeconds(), shares: gate.bandwidths.size },
        ...(lanes && { lanes: lanes.status() }),
      }),
  };
}
