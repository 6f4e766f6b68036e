import { formatEndpoint, type Endpoint } from "../../address/endpoint.ts";
import { clientKey } from "../../address/client-key.ts";
import type { Ip } from "../../address/ip.ts";
import type { Failure } from "../failure.ts";
import { CountTable } from "./count-table.ts";
import { describeClient, IN_ALL, refuseFor } from "./describe-limit.ts";
import { findUserShare, type Limits } from "./limits.ts";
import { RateBucket, type RateSharing, toRetrySeconds } from "./rate-bucket.ts";
import { ShareTable } from "./share-table.ts";

/** Who asks for what, as far as limits go. */
export interface LimitedRequest {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly target: Endpoint;
}

/** A place among the tunnels and requests to a target. It is given back once, however often `release` is called. */
export interface TargetSlot {
  release(): void;
}

/** A target that has room; with its slot where there is a limit. */
export type TargetOutcome = { readonly slot: TargetSlot | undefined } | { readonly failure: Failure };

const FREE: TargetOutcome = { slot: undefined };

/**
 * What each request needs a token or a slot for, in the order in which they are
 * asked for. The client comes before its credentials are verified: a client that
 * is over its rate costs no hash. Users and everybody together are charged only
 * once the user is proved, and a target only once a rule allows it.
 */
export class RequestLimits {
  /** How each table is shared with other processes. */
  readonly sharing = { all: shareNothing(), clients: shareNothing(), users: shareNothing(), targets: shareNothing() };
  readonly all = new RateBucket("", this.sharing.all);
  readonly clients: ShareTable<RateBucket>;
  readonly users: ShareTable<RateBucket>;
  readonly targets: ShareTable<RateBucket>;
  /** Tunnels and requests to each target. */
  readonly targetCounts: CountTable;
  /** The buckets that the last `takeWhole` took from. */
  readonly #taken: RateBucket[] = [];
  /** Monotonic milliseconds of the last request. */
  #now = 0;

  /** `size`: entries of each table. */
  constructor(size?: number) {
    // A full bucket is nothing to lose: the next one is full, too.
    const weigh = (bucket: RateBucket) => bucket.usedAt(this.#now);
    const createTable = (sharing: RateSharing) =>
      new ShareTable((key) => new RateBucket(key, sharing), { size, weigh });
    this.clients = createTable(this.sharing.clients);
    this.users = createTable(this.sharing.users);
    this.targets = createTable(this.sharing.targets);
    this.targetCounts = new CountTable(size);
  }

  /**
   * Takes a token of the client, or says why not. Without a token for everybody, too,
   * nothing is taken; that one is taken once the client is known, so that strangers
   * cannot use up what everybody shares.
   */
  arrive(client: Ip, limits: Limits, now: number): Failure | undefined {
    this.#now = now;
    const { inAll, perClient } = limits;
    const bucket = perClient.rate && this.clients.use(clientKey(client, limits.clientPrefix));
    const clientMs = bucket && perClient.rate ? bucket.settle(perClient.rate, now) : 0;
    const allMs = inAll.rate === undefined ? 0 : this.all.settle(inAll.rate, now);
    if (clientMs > 0 && clientMs >= allMs) {
      const from = describeClient(client, clientKey(client, limits.clientPrefix));
      return refuseRate("perClient.rate", from, clientMs);
    }
    if (allMs > 0) return refuseRate("rate", IN_ALL, allMs);
    bucket?.take();
    return undefined;
  }

  /** Takes a token of a user that has authenticated and one of everybody; or neither, and says which is missing for longer. */
  takeUser(user: string | undefined, limits: Limits, now: number): Failure | undefined {
    this.#now = now;
    const { inAll } = limits;
    const rate = user === undefined ? undefined : findUserShare(limits, user).rate;
    const bucket = user === undefined || rate === undefined ? undefined : this.users.use(user);
    const userMs = bucket && rate ? bucket.settle(rate, now) : 0;
    const allMs = inAll.rate === undefined ? 0 : this.all.settle(inAll.rate, now);
    if (userMs > 0 && userMs >= allMs) return refuseRate("perUser.rate", "for this user", userMs);
    if (allMs > 0) return refuseRate("rate", IN_ALL, allMs);
    bucket?.take();
    if (inAll.rate !== undefined) this.all.take();
    return undefined;
  }

  /** Takes a slot and a token of a target that a rule allows; or neither. */
  takeTarget(target: Endpoint, { perTarget: { connections, rate } }: Limits, now: number): TargetOutcome {
    if (connections === 0 && rate === undefined) return FREE;
    this.#now = now;
    const key = formatEndpoint(target);
    if (connections > 0 && !this.targetCounts.hasRoom(key, connections))
      return { failure: refuseFor("perTarget.connections", "to this target") };
    if (rate !== undefined) {
      const bucket = this.targets.use(key);
      const waitMs = bucket.settle(rate, now);
      if (waitMs > 0) return { failure: refuseRate("perTarget.rate", "to this target", waitMs) };
      bucket.take();
    }
    return connections > 0 ? { slot: this.#hold(key) } : FREE;
  }

  /** Takes a slot for a tunnel that was opened elsewhere, whatever the limit is. */
  readmitTarget(target: Endpoint | undefined, { perTarget }: Limits): TargetSlot | undefined {
    return target === undefined || perTarget.connections === 0 ? undefined : this.#hold(formatEndpoint(target));
  }

  /** Takes all at once, for a request that goes through no stages; or nothing, and gives false. */
  takeWhole({ client, user, target }: LimitedRequest, limits: Limits, now: number): TargetOutcome | false {
    this.#now = now;
    this.#taken.length = 0;
    const { inAll, perClient, perTarget } = limits;
    const userRate = user === undefined ? undefined : findUserShare(limits, user).rate;
    const counted = perTarget.connections > 0 || perTarget.rate !== undefined ? formatEndpoint(target) : "";
    if (perTarget.connections > 0 && !this.targetCounts.hasRoom(counted, perTarget.connections)) return false;
    const hasTokens =
      (perClient.rate === undefined ||
        this.#find(this.clients.use(clientKey(client, limits.clientPrefix)), perClient.rate, now)) &&
      (inAll.rate === undefined || this.#find(this.all, inAll.rate, now)) &&
      (userRate === undefined || user === undefined || this.#find(this.users.use(user), userRate, now)) &&
      (perTarget.rate === undefined || this.#find(this.targets.use(counted), perTarget.rate, now));
    if (!hasTokens) return false;
    for (const bucket of this.#taken) bucket.take();
    return perTarget.connections > 0 ? { slot: this.#hold(counted) } : FREE;
  }

  /** Gives back what the last `takeWhole` took, in the same turn of the event loop. */
  giveBackWhole(taken: TargetOutcome): void {
    for (const bucket of this.#taken) bucket.giveBack();
    this.#taken.length = 0;
    if ("slot" in taken) taken.slot?.release();
  }

  #find(bucket: RateBucket, rate: NonNullable<Limits["inAll"]["rate"]>, now: number): boolean {
    this.#taken.push(bucket);
    return bucket.settle(rate, now) === 0;
  }

  #hold(key: string): TargetSlot {
    this.targetCounts.add(key);
    return new HeldSlot(this.targetCounts, key);
  }
}

function shareNothing(): RateSharing {
  return { asked: undefined, share: 1 };
}

class HeldSlot implements TargetSlot {
  #counts: CountTable | undefined;
  readonly #key: string;

  constructor(counts: CountTable, key: string) {
    this.#counts = counts;
    this.#key = key;
  }

  release(): void {
    this.#counts?.giveBack(this.#key);
    this.#counts = undefined;
  }
}

function refuseRate(limit: string, note: string, waitMs: number): Failure {
  return { detail: "rate_exceeded", limit, note, retryAfterSeconds: toRetrySeconds(waitMs) };
}
