import { isDeepStrictEqual } from "node:util";
import { clientKey } from "../../address/client-key.ts";
import { type Budget, BudgetTimer, FlowBudget } from "../../net/conn/budget.ts";
import { Sweep } from "../../net/conn/deadlines.ts";
import { type Bandwidth, TokenBuckets } from "../../net/conn/token-buckets.ts";
import type { Ip } from "../../address/ip.ts";
import type { Runtime } from "../runtime.ts";
import { findUserShare } from "./limits.ts";

/** The settings that limit bandwidth, as operators see them. */
export const BANDWIDTH_LIMITS = ["bandwidth", "perUser.bandwidth", "perClient.bandwidth", "rules.bandwidth"] as const;
export type BandwidthLimit = (typeof BANDWIDTH_LIMITS)[number];

/** Whose bandwidth a tunnel or a request uses. */
export interface BandwidthSubject {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly decision: { readonly rule: string } | undefined;
}

/** The budgets of a tunnel or of a forwarded request. */
export interface BandwidthHold {
  readonly up: Budget;
  readonly down: Budget;
  /** It moves nothing any more. Without effect the second time. */
  release(): void;
}

/** Users, clients and rules that can have buckets of their own at once. Those beyond share the buckets of their limit. */
const MAX_SHARES = 65_536;
/** Milliseconds between two looks at the shares that nobody uses. */
const SWEEP_MS = 1000;

export interface BandwidthsOptions {
  /** Of the event loop, which waits for it. */
  readonly timer?: BudgetTimer;
  /** Shares at once. */
  readonly most?: number;
  /** Milliseconds, for tests. */
  readonly clock?: () => number;
}

/** What has one limit: a user, a client, a rule, or everybody. It has a bucket each way. */
interface Share {
  readonly limit: BandwidthLimit;
  /** Undefined for everybody, and for those that share the rest. */
  readonly name: string | undefined;
  readonly pair: number;
  bandwidth: Bandwidth | undefined;
  /** Tunnels and requests that use it. */
  uses: number;
}

/**
 * The bandwidth of everybody, of users, clients and rules. Each has a bucket each
 * way, from the beginning of its first tunnel or request. After the last one the
 * bucket is kept until it is full again: whoever connects anew gets nothing twice.
 */
export class Bandwidths {
  readonly buckets: TokenBuckets;
  readonly #timer: BudgetTimer;
  readonly #sweep = new Sweep(SWEEP_MS, () => this.#forgetFull());
  readonly #shares = new Map<string, Share>();
  /** Those that nobody uses, by key, the longest first. */
  readonly #idle = new Map<string, Share>();
  /** By pair of buckets. */
  readonly #byPair: (Share | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #most: number;
  /** For those that find no buckets left, one for each limit. */
  readonly #rest: Readonly<Record<BandwidthLimit, Share>>;
  readonly #parkedMs: Record<BandwidthLimit, number>;
  #runtime: Runtime;
  #ofRules: ReadonlyMap<string, Bandwidth>;
  #isOff = true;

  constructor(runtime: Runtime, { timer = new BudgetTimer(), most = MAX_SHARES, clock }: BandwidthsOptions = {}) {
    this.#timer = timer;
    this.#most = most + BANDWIDTH_LIMITS.length;
    this.buckets = TokenBuckets.create(this.#most * 2, clock);
    this.#rest = mapLimits((limit) => this.#open(limit, undefined, undefined));
    this.#parkedMs = mapLimits(() => 0);
    this.#runtime = runtime;
    this.#ofRules = listRuleBandwidths(runtime);
    this.#isOff = !limitsAny(runtime, this.#ofRules);
  }

  /** Whether nothing is limited. */
  get isOff(): boolean {
    return this.#isOff;
  }

  /** Users, clients and rules that have buckets of their own, also those that nobody uses at the moment. */
  get size(): number {
    return this.#shares.size;
  }

  /** Changes the limits of all that are under way. `follow` finds those that have none yet. */
  use(runtime: Runtime): void {
    if (runtime === this.#runtime) return;
    if (runtime.policy !== this.#runtime.policy) this.#ofRules = listRuleBandwidths(runtime);
    this.#runtime = runtime;
    this.#isOff = !limitsAny(runtime, this.#ofRules);
    for (const share of this.#byPair) {
      // The rest keep the limit under which the first of them came.
      if (share === undefined || share === this.#rest[share.limit]) continue;
      this.#set(share, this.#find(share.limit, share.name), "empty");
    }
  }

  /** The budgets of a tunnel or request that begins; undefined when nothing limits it. `moved`: it has begun in another process. */
  enter(subject: BandwidthSubject, moved = false): BandwidthHold | undefined {
    if (this.#isOff) return undefined;
    const { client, user, decision } = subject;
    const { limits } = this.#runtime;
    const shares: Share[] = [];
    const add = (limit: BandwidthLimit, name: string | undefined, bandwidth: Bandwidth | undefined): void => {
      if (bandwidth !== undefined) shares.push(this.#take(limit, name, bandwidth, moved));
    };
    add("bandwidth", undefined, limits.inAll.bandwidth);
    if (user !== undefined) add("perUser.bandwidth", user, findUserShare(limits, user).bandwidth);
    if (limits.perClient.bandwidth !== undefined)
      add("perClient.bandwidth", clientKey(client, limits.clientPrefix), limits.perClient.bandwidth);
    if (decision !== undefined) add("rules.bandwidth", decision.rule, this.#ofRules.get(decision.rule));
    if (shares.length === 0) return undefined;
    return new Hold(this, shares, (side) => {
      const numbers = shares.map(({ pair }) => pair * 2 + side);
      return new FlowBudget(this.#timer, this.buckets, numbers);
    });
  }

  /** The budgets for what goes on after the limits have changed, when it has come under another limit; undefined when it keeps those that it has. */
  follow(subject: BandwidthSubject, hold: BandwidthHold | undefined): BandwidthHold | undefined {
    const next = this.enter(subject);
    if (next === undefined || (hold instanceof Hold && hold.covers(next as Hold))) {
      next?.release();
      return undefined;
    }
    return next;
  }

  /** The limit that a bucket belongs to. */
  nameLimit(bucket: number): BandwidthLimit | undefined {
    return this.#byPair[bucket >> 1]?.limit;
  }

  /** Seconds that flows have waited, by limit; a flow each way. */
  parkedSeconds(): Readonly<Record<BandwidthLimit, number>> {
    for (const share of this.#byPair) if (share !== undefined) this.#drain(share);
    return mapLimits((limit) => this.#parkedMs[limit] / 1000);
  }

  /** One tunnel or request less uses a share. */
  leave(share: Share): void {
    share.uses -= 1;
    if (share.uses > 0 || share === this.#rest[share.limit]) return;
    this.#idle.set(keyOf(share.limit, share.name), share);
    this.#sweep.start();
  }

  #take(limit: BandwidthLimit, name: string | undefined, bandwidth: Bandwidth, moved: boolean): Share {
    const key = keyOf(limit, name);
    let share = this.#shares.get(key);
    if (share === undefined) {
      share = this.#open(limit, name, key);
      if (share.uses === 0) this.#set(share, bandwidth, moved || share === this.#rest[limit] ? "empty" : "full");
    } else if (share.uses === 0) this.#idle.delete(key);
    share.uses += 1;
    return share;
  }

  /** Makes a share, in the place of an idle one if need be. */
  #open(limit: BandwidthLimit, name: string | undefined, key: string | undefined): Share {
    if (this.#free.length === 0 && this.#byPair.length >= this.#most) {
      const [oldest] = this.#idle;
      // All are used: as many connections as that are under way.
      if (oldest === undefined) return this.#rest[limit];
      this.#forget(...oldest);
    }
    const pair = this.#free.pop() ?? this.#byPair.length;
    const share: Share = { limit, name, pair, bandwidth: undefined, uses: 0 };
    this.#byPair[pair] = share;
    if (key !== undefined) this.#shares.set(key, share);
    return share;
  }

  #set(share: Share, bandwidth: Bandwidth | undefined, holds: "full" | "empty"): void {
    if (isDeepStrictEqual(share.bandwidth, bandwidth)) return;
    const { up, down } = share.bandwidth ?? {};
    if (share.bandwidth === undefined || !isDeepStrictEqual(up, bandwidth?.up))
      this.buckets.set(share.pair * 2, bandwidth?.up, holds);
    if (share.bandwidth === undefined || !isDeepStrictEqual(down, bandwidth?.down))
      this.buckets.set(share.pair * 2 + 1, bandwidth?.down, holds);
    share.bandwidth = bandwidth;
  }

  /** What a share may use under the snapshot in use. */
  #find(limit: BandwidthLimit, name = ""): Bandwidth | undefined {
    const { limits } = this.#runtime;
    switch (limit) {
      case "bandwidth":
        return limits.inAll.bandwidth;
      case "perUser.bandwidth":
        return findUserShare(limits, name).bandwidth;
      case "perClient.bandwidth":
        return limits.perClient.bandwidth;
      case "rules.bandwidth":
        return this.#ofRules.get(name);
      default:
        return limit satisfies never;
    }
  }

  /** Gives the buckets of those back that nobody uses and that are full: a new one would be the same. False when none is left to look at. */
  #forgetFull(): boolean {
    for (const [key, share] of this.#idle) {
      const { pair } = share;
      if (this.buckets.isFull(pair * 2) && this.buckets.isFull(pair * 2 + 1)) this.#forget(key, share);
    }
    return this.#idle.size > 0;
  }

  #forget(key: string, share: Share): void {
    this.#drain(share);
    this.#idle.delete(key);
    this.#shares.delete(key);
    this.#byPair[share.pair] = undefined;
    this.#free.push(share.pair);
  }

  #drain({ limit, pair }: Share): void {
    this.#parkedMs[limit] += this.buckets.drainParkedMs(pair * 2) + this.buckets.drainParkedMs(pair * 2 + 1);
  }
}

class Hold implements BandwidthHold {
  readonly up: Budget;
  readonly down: Budget;
  readonly #owner: Bandwidths;
  #shares: readonly Share[];

  constructor(owner: Bandwidths, shares: readonly Share[], makeBudget: (side: 0 | 1) => Budget) {
    this.#owner = owner;
    this.#shares = shares;
    this.up = makeBudget(0);
    this.down = makeBudget(1);
  }

  /** Whether it is limited by all that limits the other. */
  covers(other: Hold): boolean {
    return other.#shares.every((share) => this.#shares.includes(share));
  }

  release(): void {
    for (const share of this.#shares) this.#owner.leave(share);
    this.#shares = [];
  }
}

function keyOf(limit: BandwidthLimit, name: string | undefined): string {
  return name === undefined ? limit : `${limit} ${name}`;
}

function mapLimits<Value>(make: (limit: BandwidthLimit) => Value): Record<BandwidthLimit, Value> {
  return Object.fromEntries(BANDWIDTH_LIMITS.map((limit) => [limit, make(limit)])) as Record<BandwidthLimit, Value>;
}

/** The bandwidth of each rule that has one, by the name of the rule. */
function listRuleBandwidths({ policy }: Runtime): ReadonlyMap<string, Bandwidth> {
  const found = new Map<string, Bandwidth>();
  for (const { name, verdict } of policy.rules)
    if (verdict.kind === "allow" && verdict.bandwidth !== undefined) found.set(name, verdict.bandwidth);
  return found;
}

function limitsAny({ limits }: Runtime, ofRules: ReadonlyMap<string, Bandwidth>): boolean {
  const { inAll, perUser, perClient, users } = limits;
  if (ofRules.size > 0 || [inAll, perUser, perClient].some(({ bandwidth }) => bandwidth !== undefined)) return true;
  return users.values().some(({ bandwidth }) => bandwidth !== undefined);
}
