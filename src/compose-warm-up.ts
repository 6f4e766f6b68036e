import type { CompiledConfig } from "./config/compile.ts";
import type { Gate } from "./gate/gate.ts";
import { startWarmUp, warmUpTunnelBytes } from "./gate/warm-up.ts";
import type { Sockets } from "./net/sockets.ts";
import type { Descriptors } from "./net/conn/descriptors.ts";
import type { TunnelEngine } from "./proxy/flow/tunnel.ts";

/** What the warm-up of a daemon runs with. */
export interface WarmUpParts {
  readonly gate: Pick<Gate, "metrics">;
  readonly tunnel: TunnelEngine;
  readonly descriptors: Descriptors;
  /** Absent where there are no connections within the process. */
  readonly openInProcess: Sockets["openInProcess"];
}

/** Has the runtime compile the code that serves clients, until the first of them comes. */
export function composeWarmUp(
  { runtime, splice, log }: Pick<CompiledConfig, "runtime" | "splice" | "log">,
  { gate: { metrics }, tunnel, descriptors, openInProcess }: WarmUpParts,
): { start(): void; stop(): Promise<void> } {
  let stop: (() => Promise<void>) | undefined;
  return {
    start() {
      // Its tunnels must not move to the lanes, which the metrics show.
      if (stop !== undefined || openInProcess === undefined || splice.afterBytes <= warmUpTunnelBytes) return;
      stop = startWarmUp({
        runtime,
        accessFormat: log.access,
        tunnel,
        network: openInProcess(),
        descriptors,
        // A connection on which nothing was sent is a health check.
        hasClients: () => metrics.acceptedInAll > metrics.probesInAll,
      });
    },
    stop: () => stop?.() ?? Promise.resolve(),
  };
}
