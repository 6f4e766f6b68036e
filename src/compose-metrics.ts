import type { InUse } from "./apply-config.ts";
import type { FleetParts } from "./compose-fleet.ts";
import type { UsageParts } from "./compose-usage.ts";
import type { Gate } from "./gate/gate.ts";
import type { LanePool } from "./net/conn/lanes.ts";
import { listUpstreams } from "./open-sidecar.ts";
import type { PacFiles } from "./pac/pac-files.ts";
import { listCertificates } from "./prepare-listeners.ts";
import type { AccessLog } from "./proxy/record/access-log.ts";
import type { Reloader } from "./reloader.ts";
import type { MetricSources } from "./sidecar/metrics-text.ts";
import type { TelemetryCounts } from "./sidecar/telemetry-families.ts";
import { version } from "./version.ts";

/** The parts of a daemon that are measured. */
export interface MeasuredParts {
  readonly gate: Gate;
  readonly inUse: InUse;
  readonly accessLog: AccessLog;
  readonly use: UsageParts;
  readonly fleet: Pick<FleetParts, "status">;
  readonly telemetry: { readonly counts: TelemetryCounts | undefined };
  readonly lanes: LanePool | undefined;
  readonly pacs: PacFiles;
  /** Made after the sidecar. */
  readonly reloads: () => Reloader;
}

/** Gives the sources of all metrics, as they are at the moment. */
export function readMetricSources(parts: MeasuredParts): MetricSources {
  const { gate, inUse, accessLog, use, fleet, lanes, pacs, reloads, telemetry } = parts;
  return {
    version,
    metrics: gate.metrics,
    live: gate.live,
    accessLog,
    auth: gate.checks.cache,
    upstreams: listUpstreams(gate),
    certificates: listCertificates(gate, inUse.plans),
    ordered: inUse.ordered?.() ?? [],
    lists: inUse.lists?.() ?? [],
    reload: reloads(),
    pacs: pacs.statuses,
    usage: {
      tables: use.usage.tables,
      period: use.usage.clock.period,
      limits: gate.runtime.current.limits,
      keeper: use.keeper?.status,
    },
    fleet: fleet.status,
    telemetry: telemetry.counts,
    ...(inUse.sidecar && { sidecar: inUse.sidecar.sidecar.connections }),
    ...(gate.approvals && gate.runtime.current.policy.asks && { approvals: gate.approvals.counts }),
    bandwidths: { parked: gate.bandwidths.parkedSeconds(), shares: gate.bandwidths.size },
    ...(lanes && { lanes: lanes.status() }),
  };
}
