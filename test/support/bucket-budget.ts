import { type Budget, BudgetTimer, FlowBudget } from "../../src/net/conn/budget.ts";
import type { TokenBuckets } from "../../src/net/conn/token-buckets.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";

/** Small enough that there is always somebody who waits. */
const LIMIT = { bytesPerSecond: 30_000_000, burstBytes: 20_000 };

/** The buckets of a tunnel, each way. */
export interface TunnelBuckets {
  readonly up?: readonly number[];
  readonly down?: readonly number[];
}

/** An engine each of whose tunnels has a budget of these buckets. */
export function limitBy(memory: TokenBuckets, engine: () => TunnelEngine, { up, down }: TunnelBuckets): TunnelEngine {
  const timer = new BudgetTimer();
  const make = (numbers: readonly number[] | undefined): Budget | undefined =>
    numbers && new FlowBudget(timer, memory, numbers);
  return (client, target, options) =>
    engine()(client, target, { ...options, upBudget: make(up), downBudget: make(down) });
}

/** An engine whose tunnels share a bucket each way, and another one for both. */
export function limitTunnels(buckets: TokenBuckets, engine: TunnelEngine): TunnelEngine {
  for (const bucket of [0, 1, 2]) buckets.set(bucket, LIMIT);
  return limitBy(buckets, () => engine, { up: [0, 2], down: [1, 2] });
}
