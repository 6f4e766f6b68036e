import type { PoolPlan } from "../route/pool-plan.ts";
import type { Hop } from "../route/hop.ts";
import { Pool, type PoolEvent } from "./pool.ts";
import { describePool, type PoolState } from "./pool-state.ts";

export interface PoolsOptions {
  /** Is told what operators want to know: changes of health, and sessions that moved. */
  readonly changed?: (event: PoolEvent) => void;
  /** Monotonic milliseconds, and a number from 0 to 1. */
  readonly now?: () => number;
  readonly random?: () => number;
}

/** Pools of the proxies of one PAC file, and of combinations of them, that are known at once. */
const MAX_OF_PAC = 1280;
/** The part of them that is forgotten together. */
const FORGOTTEN_PART = 1 / 8;

/** No name in a configuration has one: what is before it is the name of the upstream with the PAC file. */
const PAC_END = "/";

/**
 * The pools of one gate. They are known by name across snapshots. Those of a PAC
 * file come and go with what it names: of too many the ones that are idle for
 * longest are forgotten.
 */
export class Pools {
  readonly #options: PoolsOptions;
  readonly #byName = new Map<string, Pool>();
  /** By the name of the upstream with the PAC file. */
  readonly #ofPacs = new Map<string, Map<string, PoolOfPac>>();
  /** Requests under an older snapshot keep the pool of their plan. */
  readonly #byPlan = new WeakMap<PoolPlan, Pool>();

  constructor(options: PoolsOptions = {}) {
    this.#options = options;
  }

  /** Follows a new snapshot: what it does not name is forgotten, and the rest keeps its state. `pacs` are the upstreams with a PAC file. */
  use(upstreams: ReadonlyMap<string, Hop | PoolPlan>, pacs: ReadonlyMap<string, unknown> = new Map()): void {
    const names = new Set<string>();
    for (const plan of upstreams.values()) {
      if (plan.kind !== "pool") continue;
      names.add(plan.name);
      this.find(plan);
    }
    for (const name of this.#ofPacs.keys()) if (!pacs.has(name)) this.#ofPacs.delete(name);
    for (const name of this.#byName.keys()) if (!names.has(name)) this.#byName.delete(name);
  }

  /** The living pool of a plan. */
  find(plan: PoolPlan): Pool {
    const known = this.#byPlan.get(plan);
    if (known !== undefined) return known;
    const { now = () => performance.now(), random = Math.random, changed = () => {} } = this.#options;
    let pool = this.get(plan.name);
    if (pool === undefined) {
      pool = new Pool(plan, { now, random, changed, find: (inner) => this.find(inner) });
      this.#add(plan.name, pool, now());
    } else {
      pool.use(plan);
    }
    this.#byPlan.set(plan, pool);
    return pool;
  }

  /** Finds a pool by its name. */
  get(name: string): Pool | undefined {
    return this.#byName.get(name) ?? this.#ofPacs.get(findPac(name))?.get(name)?.pool;
  }

  /** Those of the configuration, the proxies that PAC files named, and combinations of these that are in use. */
  *all(): Iterable<Pool> {
    yield* this.#byName.values();
    for (const known of this.#ofPacs.values())
      for (const { pool } of known.values())
        if (isProxy(pool) || pool.members.some(({ active }) => active > 0)) yield pool;
  }

  /** Those of the configuration. */
  [Symbol.iterator](): Iterator<Pool> {
    return this.#byName.values();
  }

  /** The proxies that the PAC file of an upstream named, each as a pool of one. */
  proxiesOf(pac: string): Pool[] {
    return [...(this.#ofPacs.get(pac)?.values() ?? [])].map(({ pool }) => pool).filter(isProxy);
  }

  /** One of them, by `kind://host:port`. */
  findProxy(pac: string, name: string): Pool | undefined {
    const pool = this.#ofPacs.get(pac)?.get(`${pac}${PAC_END}${name}`)?.pool;
    return pool !== undefined && isProxy(pool) ? pool : undefined;
  }

  #add(name: string, pool: Pool, now: number): void {
    if (!name.includes(PAC_END)) {
      this.#byName.set(name, pool);
      return;
    }
    const pac = findPac(name);
    const known = this.#ofPacs.get(pac) ?? new Map<string, PoolOfPac>();
    this.#ofPacs.set(pac, known.set(name, { pool, namedAt: now }));
    if (known.size <= MAX_OF_PAC) return;
    const ranked = [...known].map(([each, value]) => ({ each, rank: rankUse(value) }));
    ranked.sort((one, other) => one.rank - other.rank);
    for (const { each } of ranked.slice(0, MAX_OF_PAC * FORGOTTEN_PART)) known.delete(each);
  }

  /** The pools of the configuration as they are now. */
  describe(): PoolState[] {
    const { now = () => performance.now() } = this.#options;
    return this.#byName
      .values()
      .map((pool) => describePool(pool, now()))
      .toArray();
  }
}

interface PoolOfPac {
  readonly pool: Pool;
  /** When the PAC file named it first. */
  readonly namedAt: number;
}

/** When a pool was in use last. Those in use come after all others, and what an operator has disabled last. */
function rankUse({ pool, namedAt }: PoolOfPac): number {
  const at = Math.max(namedAt, pool.usedAt);
  if (pool.members.some(({ health }) => health.disabled)) return at + 2 * Number.MAX_SAFE_INTEGER;
  return pool.members.some(({ active }) => active > 0) ? at + Number.MAX_SAFE_INTEGER : at;
}

/** Combinations have pools as members, or no proxy alone. */
function isProxy({ plan }: Pool): boolean {
  return plan.triesEjected === true;
}

function findPac(name: string): string {
  return name.slice(0, Math.max(0, name.indexOf(PAC_END)));
}
