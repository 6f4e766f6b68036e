import type { InUse } from "./apply-config.ts";
import { listBrowserListeners, writeBrowserPac } from "./browser-pac.ts";
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
import { version } from "./version.ts";

/** The parts of a daemon that the sidecar shows and controls. */
export interface ControlledParts extends Pick<ControlPort, "reload" | "handOver"> {
  readonly gate: Gate;
  readonly drain: Drain;
  readonly inUse: InUse;
  readonly accessLog: AccessLog;
  readonly lanes: LanePool | undefined;
  readonly pacs: PacFiles;
  /** What `/config` says of the kernel's part, and of the event loop. */
  readonly splicing: string;
  readonly driving: string;
  /** Made after the sidecar. */
  readonly reloads: () => Reloader;
}

/** Composes what the sidecar asks the daemon. */
export function composeControl(parts: ControlledParts): ControlPort {
  const { gate, drain, inUse, accessLog, lanes, pacs, splicing, driving, reloads, reload, handOver } = parts;
  return {
    ...controlTunnels(gate),
    upstreams: controlUpstreams(gate, pacs),
    drain: controlDrain(drain, () => inUse.sidecar?.sidecar.yieldAddress()),
    ...(reload && { reload }),
    ...(handOver && { handOver }),
    readiness: () => readReadiness(gate, drain, { reloaded: reloads().successful, pacs: pacs.statuses }),
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
        ...(inUse.sidecar && { sidecar: inUse.sidecar.sidecar.connections }),
        ...(lanes && { lanes: lanes.status() }),
      }),
  };
}
