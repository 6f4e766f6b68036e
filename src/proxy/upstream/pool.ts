import type { Failure } from "../failure.ts";
import { resolveLogin } from "../route/hop-login.ts";
import type { AffinityKey, PoolPlan } from "../route/pool-plan.ts";
import type { Hop } from "../route/hop.ts";
import type { NamedRequester } from "../route/user-template.ts";
import { type Balancer, type ChoiceQuery, createBalancer } from "./balancer.ts";
import type { HealthChange, HealthState, SavedHealth } from "./member-health.ts";
import { identifyMember, Member } from "./member.ts";
import { MemberUse } from "./member-use.ts";
import type { SavedLatency } from "./peak-ewma.ts";
import { type BoundSession, StickyTable } from "./sticky-table.ts";
import { WaitQueue } from "./wait-queue.ts";

/** What a pool looks at in a request. */
export interface PoolWish {
  /** The value that decides about the member; undefined for a request that has none. */
  key(by: AffinityKey): string | undefined;
  /** Members that this request has tried. */
  readonly tried: Set<Member>;
}

/** A member that a request would be led to: its session has it, it is its turn, or only backups are left. */
export interface RankedMember {
  readonly member: Member;
  readonly by: "session" | "balance" | "backup";
}

/** Why there is no member: none is healthy, none that is healthy has room, or each of them was tried. */
export type Shortage = "unhealthy" | "full" | "tried";

/** A change that operators want to know of. */
export type PoolEvent =
  | ({ readonly kind: "health"; readonly pool: string; readonly member: string } & HealthChange)
  /** A session lost its member, and has another one. */
  | { readonly kind: "moved"; readonly pool: string; readonly from: string; readonly to: string };

export interface PoolOptions {
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly changed: (event: PoolEvent) => void;
  /** Is told of each use of a session; absent where sessions are not shared. */
  readonly bound?: ((session: BoundSession) => void) | undefined;
  /** The pool of a member that is one itself. */
  readonly find: (plan: PoolPlan) => Pool;
}

/** The living members of one pool, and the choice among them. Known by its name across snapshots. */
export class Pool {
  readonly #options: PoolOptions;
  readonly sessions = new StickyTable();
  readonly #queue = new WaitQueue<() => boolean>();
  #plan: PoolPlan;
  #members: readonly Member[] = [];
  #inner = new Map<Member, Pool>();
  /** Members whose user name depends on the request. */
  #templated: readonly (readonly [Member, Hop])[] = [];
  #first!: Balancer;
  #backups!: Balancer;
  /** When what the balancers have stops being true: Infinity for a change that is told. */
  #staleAt = -Infinity;
  #usedAt = -Infinity;

  constructor(plan: PoolPlan, options: PoolOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#adopt(plan);
  }

  get plan(): PoolPlan {
    return this.#plan;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** When a request last asked for a member; -Infinity for never. */
  get usedAt(): number {
    return this.#usedAt;
  }

  /** Follows a new snapshot: members of the same name and address stay what they are. */
  use(plan: PoolPlan): void {
    if (plan === this.#plan) return;
    this.#adopt(plan);
    this.#serve();
  }

  /** Whether any member could be used now, if it had room. */
  isHealthyAt(now: number): boolean {
    return this.#members.some((member) => this.stateOf(member, now) === "healthy");
  }

  /** Members that a request could still try, counted up to `most`. */
  countLeft(tried: ReadonlySet<Member>, now: number, most: number): number {
    let left = 0;
    for (const member of this.#members) {
      const inner = this.#inner.get(member);
      if (inner === undefined) left += !tried.has(member) && isServing(member.health.stateAt(now)) ? 1 : 0;
      else if (!member.health.disabled) left += inner.countLeft(tried, now, most - left);
      if (left >= most) break;
    }
    return left;
  }

  /** The state of a member. One that is a pool itself is as its own members are. */
  stateOf(member: Member, now: number): HealthState {
    const inner = this.#inner.get(member);
    const state = member.health.stateAt(now);
    if (inner === undefined || state !== "healthy") return state;
    return inner.isHealthyAt(now) ? "healthy" : "down";
  }

  /** Marks the members as tried whose user name needs a value that a request does not have, and says what is missing. */
  passOverUnfit(from: NamedRequester, tried: Set<Member>): Failure | undefined {
    let failure: Failure | undefined;
    for (const [member, hop] of this.#templated) {
      const login = resolveLogin(hop, from);
      if (login.ok) continue;
      tried.add(member);
      ({ failure } = login);
    }
    for (const inner of this.#inner.values()) failure = inner.passOverUnfit(from, tried) ?? failure;
    return failure;
  }

  /** Chooses a member and counts its use; or says why there is none. `preferred` is what a function has chosen. */
  take(wish: PoolWish, preferred?: Member): MemberUse | Shortage {
    const now = this.#options.now();
    this.#usedAt = now;
    this.#refresh(now);
    const { sticky, hash, balance } = this.#plan;
    const key = sticky && wish.key(sticky.by);
    if (sticky !== undefined && key !== undefined) {
      const member = this.sessions.find(key, sticky.forMs, now);
      if (member !== undefined && this.#isOpen(member, wish, now))
        return this.#hasRoom(member, wish) ? this.#begin(member, key, wish, now, true) : "full";
    }
    const isUsable = (member: Member): boolean => this.#isOpen(member, wish, now) && this.#hasRoom(member, wish);
    const member =
      preferred !== undefined && isUsable(preferred)
        ? preferred
        : this.#choose({ now, key: balance === "hash" ? findHashKey(wish, hash) : "", isUsable }, wish);
    if (member !== undefined) return this.#begin(member, key, wish, now);
    const resort = this.#plan.triesEjected === true ? this.#members.find((one) => one.isResort(wish, now)) : undefined;
    return resort === undefined ? this.#explain(wish, now) : this.#begin(resort, key, wish, now);
  }

  /** The first `count` members that a request would try now, in order. Nothing is counted. A session waits for its member when that is full. */
  rank(wish: PoolWish, count: number): RankedMember[] {
    const now = this.#options.now();
    this.#refresh(now);
    const { sticky, hash, balance } = this.#plan;
    const session = sticky && wish.key(sticky.by);
    const kept =
      sticky === undefined || session === undefined ? undefined : this.sessions.find(session, sticky.forMs, now);
    const keeps = kept !== undefined && this.#isOpen(kept, wish, now);
    const isUsable = (member: Member): boolean =>
      !(keeps && member === kept) && this.#isOpen(member, wish, now) && this.#hasRoom(member, wish);
    const query = { now, key: balance === "hash" ? findHashKey(wish, hash) : "", isUsable };
    return [
      ...(keeps ? [{ member: kept, by: "session" } as const] : []),
      ...this.#first.rank(query, count).map((member) => ({ member, by: "balance" }) as const),
      ...this.#backups.rank(query, count).map((member) => ({ member, by: "backup" }) as const),
    ].slice(0, count);
  }

  /** Counts a connection that another process has opened through a member, of this pool or of one within; undefined when there is no such member. */
  countOpen([name, ...names]: readonly string[], keyBy: PoolWish["key"]): MemberUse | undefined {
    const isIt = (member: Member): boolean => (this.#inner.get(member)?.plan.name ?? member.name) === name;
    const member = this.#members.find(isIt);
    if (member === undefined) return undefined;
    const { sticky } = this.#plan;
    const inner = this.#inner.get(member)?.countOpen(names, keyBy);
    const key = sticky && keyBy(sticky.by);
    return new MemberUse(this, member, this.now(), { inner, key, keepsSession: false, isOpen: true });
  }

  /**
   * Waits for a member in a bounded queue in which clients take turns. `ready` is
   * called when there may be one, and says whether it took it. The result ends the
   * wait; undefined when there is no room to wait.
   */
  wait(client: string, ready: () => boolean): (() => void) | undefined {
    return this.#queue.add(client, ready) ? () => void this.#queue.remove(client, ready) : undefined;
  }

  /** When the time of an ejection is over, as the next thing that only the clock changes; Infinity for none. */
  nextChangeAt(now: number): number {
    let next = Infinity;
    for (const { health } of this.#members) next = Math.min(next, health.changesAt(now));
    for (const inner of this.#inner.values()) next = Math.min(next, inner.nextChangeAt(now));
    return next;
  }

  /** Offers members to those that wait. */
  #serve(): void {
    if (this.#queue.size > 0) this.#queue.serve((ready) => ready());
  }

  /** Looks again whether somebody can go on, when the time of an ejection is over. */
  wake(): void {
    if (this.#options.now() >= this.#staleAt) this.#serve();
  }

  /** Takes a member out of use, or back into it. False when there is no such member, or nothing to change. */
  disable(name: string, disabled: boolean): boolean {
    const member = this.find(name);
    return member?.health.disable(disabled, this.#options.now()) === true;
  }

  /** Takes over what another process knows of a member. Without checks nobody would bring one back that is down. */
  restore(member: Member, health: SavedHealth, latency?: SavedLatency): void {
    const now = this.now();
    member.health.restore({ ...health, down: health.down && this.#plan.health !== undefined }, now);
    if (latency !== undefined) member.latency.restore(latency, now);
    this.#staleAt = -Infinity;
  }

  find(name: string): Member | undefined {
    return this.#members.find((member) => member.name === name);
  }

  /** What a use of a member tells. */
  counted(member: Member): void {
    const now = this.#options.now();
    this.#first.changed(member, now);
    this.#backups.changed(member, now);
    if (member.hasRoom) this.#serve();
  }

  /** A request of a session goes through a member. */
  bind(key: string, member: Member): void {
    const now = this.#options.now();
    const { sticky } = this.#plan;
    if (sticky === undefined) return;
    const before = this.sessions.find(key, sticky.forMs, now);
    this.sessions.set(key, member, now);
    this.#options.bound?.({ pool: this.#plan.name, key, member: member.name, forMs: sticky.forMs });
    if (before === undefined || before === member) return;
    this.#options.changed({ kind: "moved", pool: this.#plan.name, from: before.name, to: member.name });
  }

  /** Follows another proxy, which led a session to a member `agoMs` ago. */
  follow(key: string, name: string, agoMs: number): void {
    const { sticky } = this.#plan;
    const member = this.find(name);
    if (sticky === undefined || member === undefined || agoMs >= sticky.forMs) return;
    this.sessions.follow(key, member, this.#options.now() - agoMs);
  }

  countSession(key: string, change: 1 | -1): void {
    this.sessions.count(key, change, this.#options.now());
  }

  now(): number {
    return this.#options.now();
  }

  #begin(
    member: Member,
    key: string | undefined,
    wish: PoolWish,
    now: number,
    keepsSession = false,
  ): MemberUse | Shortage {
    const inner = this.#inner.get(member)?.take(wish);
    if (typeof inner === "string") return inner;
    // Another try shows only at its end whose the session is.
    if (key !== undefined && wish.tried.size === 0) this.bind(key, member);
    return new MemberUse(this, member, now, { inner, key, keepsSession });
  }

  /** Chooses among the first members, and among the backups when no other is healthy. */
  #choose(query: ChoiceQuery, { tried }: PoolWish): Member | undefined {
    const member = this.#first.choose(query);
    if (member !== undefined) return member;
    const { now } = query;
    const isLeft = (one: Member): boolean =>
      !one.plan.backup && !tried.has(one) && this.stateOf(one, now) === "healthy" && !this.#wasTried(one, tried, now);
    return this.#members.some(isLeft) ? undefined : this.#backups.choose(query);
  }

  #explain({ tried }: PoolWish, now: number): Shortage {
    if (this.countLeft(tried, now, 1) > 0) return "full";
    return this.countLeft(NOBODY, now, 1) > 0 ? "tried" : "unhealthy";
  }

  /** Whether a member that is a pool itself has nobody left to try. */
  #wasTried(member: Member, tried: ReadonlySet<Member>, now: number): boolean {
    return this.#inner.get(member)?.countLeft(tried, now, 1) === 0;
  }

  /** Whether a member can be used, room apart. */
  #isOpen(member: Member, { tried }: PoolWish, now: number): boolean {
    if (tried.has(member)) return false;
    const inner = this.#inner.get(member);
    if (inner === undefined) return isServing(member.health.stateAt(now));
    return !member.health.disabled && inner.countLeft(tried, now, 1) > 0;
  }

  #hasRoom(member: Member, wish: PoolWish): boolean {
    if (!member.hasRoom) return false;
    return this.#inner.get(member)?.hasRoomFor(wish) ?? true;
  }

  /** Whether a member can be used by a request now. */
  isAvailable(member: Member, wish: PoolWish): boolean {
    return this.#isOpen(member, wish, this.#options.now()) && this.#hasRoom(member, wish);
  }

  /** Whether a member can be used that has room. */
  hasRoomFor(wish: PoolWish): boolean {
    const now = this.#options.now();
    return this.#members.some((member) => this.#isOpen(member, wish, now) && this.#hasRoom(member, wish));
  }

  #adopt(plan: PoolPlan): void {
    const now = this.#options.now();
    const before = new Map(this.#members.map((member) => [identifyMember(member.plan), member]));
    const isNew = this.#members.length === 0;
    this.#plan = plan;
    this.#inner = new Map();
    this.#members = plan.members.map((written, index) => {
      const member = before.get(identifyMember(written)) ?? new Member(written, now, this.#changed);
      member.plan = written;
      member.index = index;
      if (typeof written.way !== "string" && written.way.kind === "pool")
        this.#inner.set(member, this.#options.find(written.way));
      if (plan.health === undefined) member.health.uncheck(now);
      return member;
    });
    this.#templated = this.#members.flatMap((member) => {
      const { way } = member.plan;
      return way !== "direct" && way.kind !== "pool" && typeof way.credentials?.user === "object"
        ? [[member, way] as const]
        : [];
    });
    const kept = new Set(this.#members);
    if (!isNew) this.sessions.retain((member) => kept.has(member));
    const { balance, slowStartMs } = plan;
    const mode = typeof balance === "function" ? "round-robin" : balance;
    const options = { slowStartMs, random: this.#options.random };
    if (!isNew) {
      // A member knows its place in one heap: the balancers before let go of it.
      this.#first.reset([], now);
      this.#backups.reset([], now);
    }
    this.#first = createBalancer(mode, options);
    this.#backups = createBalancer(mode, options);
    this.#staleAt = -Infinity;
  }

  readonly #changed = (member: Member, change: HealthChange): void => {
    this.#staleAt = -Infinity;
    this.#options.changed({ kind: "health", pool: this.#plan.name, member: member.name, ...change });
    this.#serve();
  };

  /** Gives the balancers the members that can be used now. */
  #refresh(now: number): void {
    if (now < this.#staleAt) return;
    const usable = this.#members.filter((member) => this.#inner.has(member) || isServing(member.health.stateAt(now)));
    const [first, backups] = [false, true].map((backup) => usable.filter(({ plan }) => plan.backup === backup));
    this.#first.reset(first ?? [], now);
    this.#backups.reset(backups ?? [], now);
    this.#staleAt = this.nextChangeAt(now);
  }
}

const NOBODY: ReadonlySet<Member> = new Set();

/** Requests without a session count by user. */
function findHashKey(wish: PoolWish, hash: AffinityKey): string {
  return wish.key(hash) ?? wish.key("user") ?? "";
}

function isServing(state: HealthState): boolean {
  return state === "healthy" || state === "trial";
}
