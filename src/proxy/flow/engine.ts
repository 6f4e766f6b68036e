import type { LanePool, LanesResult } from "../../net/conn/lanes.ts";
import { type AdoptSocket, createAdaptiveEngine } from "./promotion.ts";
import { relay } from "./relay.ts";
import type { TunnelEngine } from "./tunnel.ts";

export interface SplicePlan {
  /** `auto` uses the kernel's splice where the self-test passes; `off` keeps every tunnel in the relay. */
  readonly mode: "auto" | "off";
  /** Bytes in both directions together after which a tunnel moves to a lane. */
  readonly afterBytes: number;
}

/** How tunnels are carried. */
export interface EngineChoice {
  readonly engine: TunnelEngine;
  /** Undefined when every tunnel stays in the relay. */
  readonly lanes: LanePool | undefined;
  /** One sentence for the operator: how tunnels are spliced, or why they are not. */
  readonly description: string;
}

/** Starts lanes unless the plan forbids them. Without lanes the relay carries every tunnel. */
export function chooseEngine(plan: SplicePlan, startLanes: () => LanesResult, adopt?: AdoptSocket): EngineChoice {
  if (plan.mode === "off")
    return { engine: relay, lanes: undefined, description: 'Splicing is off: "splice" says so.' };
  const started = startLanes();
  if (!started.ok) return { engine: relay, lanes: undefined, description: `Splicing is off: ${started.reason}` };
  return {
    engine: createAdaptiveEngine(started.pool, plan.afterBytes, adopt),
    lanes: started.pool,
    description: `Splicing after ${plan.afterBytes} bytes, through pipes of ${started.pipeBytes} bytes.`,
  };
}
