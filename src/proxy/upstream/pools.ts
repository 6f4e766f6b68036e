import type { PoolPlan } from "../route/pool-plan.ts";
import type { Hop } from "../route/hop.ts";
import { type BoundSession, Pool, type PoolEvent } from "./pool.ts";
import { describePool, type PoolState } from "./pool-state.ts";

export interface PoolsOptions {
  /** Is told what operators want to know: changes of health, and sessions that moved. */
  readonly changed?: (event: PoolEvent) => void;
  /** Monotonic milliseconds, and a number from 0 to 1. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** The pools of one gate. They are known by name across snapshots. */
export class Pools {
  readonly #options: PoolsOptions;
  readonly #byName = new Map<string, Pool>();
  /** Requests under an older snapshot keep the pool of their plan. */
  readonly #byPlan = new WeakMap<PoolPlan, Pool>();
  /** Is told of each use of a session; undefined where sessions are not shared. */
  bound: ((session: BoundSession) => void) | undefined = undefined;

  constructor(options: PoolsOptions = {}) {
    this.#options = options;
  }

  /** Follows a new snapshot: what it does not name is forgotten, and the rest keeps its state. */
  use(upstreams: ReadonlyMap<string, Hop | PoolPlan>): void {
    const names = new Set<string>();
    for (const plan of upstreams.values()) {
      if (plan.kind !== "pool") continue;
      names.add(plan.name);
      this.find(plan);
    }
    for (const name of this.#byName.keys()) if (!names.has(name)) this.#byName.delete(name);
  }

  /** The living pool of a plan. */
  find(plan: PoolPlan): Pool {
    const known = this.#byPlan.get(plan);
    if (known !== undefined) return known;
    const { now = () => performance.now(), random = Math.random, changed = () => {} } = this.#options;
    let pool = this.#byName.get(plan.name);
    if (pool === undefined) {
      pool = new Pool(plan, {
        now,
        random,
        changed,
        find: (inner) => this.find(inner),
        bound: (session) => this.bound?.(session),
      });
      this.#byName.set(plan.name, pool);
    } else {
      pool.use(plan);
    }
    this.#byPlan.set(plan, pool);
    return pool;
  }

  /** Finds a pool by its name. */
  get(name: string): Pool | undefined {
    return this.#byName.get(name);
  }

  [Symbol.iterator](): Iterator<Pool> {
    return this.#byName.values();
  }

  /** All pools as they are now. */
  describe(): PoolState[] {
    const { now = () => performance.now() } = this.#options;
    return this.#byName
      .values()
      .map((pool) => describePool(pool, now()))
      .toArray();
  }
}
