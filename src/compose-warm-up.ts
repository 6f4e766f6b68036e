import type { CompiledConfig } from "./config/compile.ts";
import type { Gate } from "./gate/gate.ts";
import { startLaneWarmUp } from "./gate/lane-warm-up.ts";
import { startWarmUp, warmUpTunnelBytes } from "./gate/warm-up.ts";
import type { Sockets } from "./net/sockets.ts";
import type { Descriptors } from "./net/conn/descriptors.ts";
import type { LanePool } from "./net/conn/lanes.ts";
import type { Bandwidths } from "./proxy/limit/bandwidths.ts";
import type { TunnelEngine } from "./proxy/flow/tunnel.ts";

/** What the warm-up of a daemon runs with. */
export interface WarmUpParts {
  readonly gate: Pick<Gate, "metrics">;
  readonly tunnel: TunnelEngine;
  readonly descriptors: Descriptors;
  readonly lanes: Pick<LanePool, "rehearse"> | undefined;
  readonly bandwidths: Pick<Bandwidths, "isOff">;
  /** Absent where there are no connections within the process. */
  readonly openInProcess: Sockets["openInProcess"];
}

/** Has the runtime compile the code that serves clients, until the first of them comes. */
export function composeWarmUp(
  { runtime, splice, log }: Pick<CompiledConfig, "runtime" | "splice" | "log">,
  { gate: { metrics }, tunnel, descriptors, lanes, bandwidths, openInProcess }: WarmUpParts,
): { start(): void; stop(): Promise<void> } {
  let stop: (() => Promise<void>) | undefined;
  let stopLanes: (() => void) | undefined;
  // A connection on which nothing was sent is a health check.
  const hasClients = (): boolean => metrics.acceptedInAll > metrics.probesInAll;
  return {
    start() {
      if (lanes !== undefined && !bandwidths.isOff) stopLanes ??= startLaneWarmUp(lanes, hasClients);
      // Its tunnels must not move to the lanes, which the metrics show.
      if (stop !== undefined || openInProcess === undefined || splice.afterBytes <= warmUpTunnelBytes) return;
      stop = startWarmUp({
        runtime,
        accessFormat: log.access,
        tunnel,
        network: openInProcess(),
        descriptors,
        hasClients,
      });
    },
    stop() {
      stopLanes?.();
      return stop?.() ?? Promise.resolve();
    },
  };
}
