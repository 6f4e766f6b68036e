import { type MeasuredParts, readMetricSources } from "./compose-metrics.ts";
import { listBrowserListeners, writeBrowserPac } from "./browser-pac.ts";
import { composeLiveView, type LiveViewParts } from "./compose-live-view.ts";
import { composeApprovals } from "./compose-approvals.ts";
import { composeExplain } from "./compose-explain.ts";
import type { CompiledConfig } from "./config/compile.ts";
import { readRecord } from "./config/plain-data.ts";
import type { Drain } from "./drain.ts";
import type { CarriedState } from "./handover/carried-state.ts";
import type { ListsInUse } from "./lists/lists-in-use.ts";
import type { Tell } from "./operator-message.ts";
import { fitConnections } from "./operator-reports.ts";
import { controlDrain, controlTunnels, controlUpstreams, readReadiness } from "./open-sidecar.ts";
import type { ControlPort, DrainState } from "./sidecar/control-port.ts";
import { writeMetricsText } from "./sidecar/metrics-text.ts";
import { UsageReporter } from "./usage-report.ts";

/** The parts of a daemon that the sidecar shows and controls. */
export interface ControlledParts extends MeasuredParts, Pick<ControlPort, "reload" | "handOver"> {
  readonly drain: Drain;
  readonly tell: Tell;
  readonly lists: () => Pick<ListsInUse, "warnings" | "read">;
  /** What `/config` says of the kernel's part, and of the event loop. */
  readonly splicing: string;
  readonly driving: string;
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
}

/** What the sidecar asks the daemon, and what the daemon does with it. */
export interface Control extends ControlPort, Pick<LiveViewParts, "follow" | "endWatches"> {
  /** What the next process is to know. */
  readonly carried: readonly CarriedState[];
  /** A drain takes a step. */
  step(phase: DrainState["phase"]): void;
  /** Ends all who watch. */
  stop(): void;
}

/** Composes what the sidecar asks the daemon. */
export function composeControl(parts: ControlledParts): Control {
  const { gate, drain, inUse, use, fleet, lanes, pacs, splicing, driving, reloads, turn, reload, handOver } = parts;
  const limits = () => gate.runtime.current.limits;
  const usage = new UsageReporter({ parts: use, tables: gate, live: gate.live, limits, since: Date.now() });
  const upstreams = controlUpstreams(gate, pacs);
  const readiness = () =>
    readReadiness(gate, drain, {
      reloaded: reloads().successful,
      pacs: pacs.statuses,
      use,
      fleet,
      lists: parts.lists().warnings,
      ordered: inUse.ordered?.() ?? [],
    });
  const live = composeLiveView({ gate, drain, inUse, lanes, readiness, turn, upstreams: () => upstreams.list() });
  const approvals = composeApprovals(parts);
  const { lists } = parts;
  const explain = composeExplain({ gate, inUse, lists, pacs, upstreams, usage, approval: approvals.look });
  return {
    ...controlTunnels(gate),
    view: live.view,
    carried: [live.carried, approvals.carried],
    follow() {
      live.follow();
      approvals.follow();
    },
    step(phase) {
      approvals.step(phase);
      inUse.order?.(phase === "serving");
    },
    approvals: approvals.control,
    explain,
    endWatches: () => live.endWatches(),
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
    effectiveConfig: () => ({ ...describeInUse(inUse.compiled), splicing, driving }),
    metricsText: (form) => writeMetricsText(readMetricSources(parts), form),
  };
}

/** The effective configuration, with the defaults that this process has room for. */
function describeInUse({ effective, derived, runtime }: CompiledConfig): Readonly<Record<string, unknown>> {
  if (!derived.includes("limits.connections")) return { ...effective, derived };
  const connections = fitConnections(runtime.limits.inAll.connections);
  return { ...effective, limits: { ...readRecord(effective["limits"]), connections }, derived };
}
