import type { Budget, Budgeted } from "../../src/net/conn/budget.ts";
import { SharedBudget, type TokenBuckets } from "../../src/net/conn/budget.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";

/** The budget of flows in user space, made of buckets that lanes may share. */
export class BucketBudget implements Budget {
  readonly buckets: readonly number[];
  readonly #memory: TokenBuckets;
  /** The longest first, with the time at which each takes its turn. */
  readonly #waiting = new Map<Budgeted, { readonly budget: SharedBudget; readonly dueAt: number }>();
  #isTimed = false;

  constructor(memory: TokenBuckets, buckets: readonly number[]) {
    this.buckets = buckets;
    this.#memory = memory;
  }

  take(wanted: number, flow: Budgeted): number {
    const budget = this.#waiting.get(flow)?.budget ?? new SharedBudget(this.#memory, this.buckets);
    let taken = budget.take(wanted);
    let more = taken;
    while (taken < wanted && more > 0) {
      more = budget.take(wanted - taken);
      taken += more;
    }
    // Whoever got something goes behind the others.
    if (taken > 0) this.#waiting.delete(flow);
    if (taken === wanted) return taken;
    this.#waiting.set(flow, { budget, dueAt: performance.now() + budget.dueIn });
    this.#wakeIn(budget.dueIn);
    return taken;
  }

  giveBack(bytes: number): void {
    new SharedBudget(this.#memory, this.buckets).giveBack(bytes);
  }

  leave(flow: Budgeted): void {
    this.#waiting.get(flow)?.budget.leave();
    this.#waiting.delete(flow);
  }

  #serve(): void {
    this.#isTimed = false;
    const now = performance.now();
    for (const [flow, { dueAt }] of this.#waiting) if (dueAt <= now) flow.refilled();
    const next = Math.min(...[...this.#waiting.values()].map(({ dueAt }) => dueAt));
    if (next < Infinity) this.#wakeIn(next - performance.now());
  }

  #wakeIn(ms: number): void {
    if (this.#isTimed) return;
    this.#isTimed = true;
    setTimeout(() => this.#serve(), Math.max(0, ms));
  }
}

/** Small enough that there is always somebody who waits. */
export const LIMIT = { bytesPerSecond: 30_000_000, burstBytes: 20_000 };

/** An engine whose tunnels share budgets: one bucket for each direction, and one for both. */
export function limitTunnels(buckets: TokenBuckets, engine: TunnelEngine): TunnelEngine {
  for (const bucket of [0, 1, 2]) buckets.set(bucket, LIMIT);
  const [upBudget, downBudget] = [new BucketBudget(buckets, [0, 2]), new BucketBudget(buckets, [1, 2])];
  return (client, target, options) => engine(client, target, { ...options, upBudget, downBudget });
}
