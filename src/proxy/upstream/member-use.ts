import type { Hop } from "../route/hop.ts";
import type { PoolPlan } from "../route/pool-plan.ts";
import type { Member } from "./member.ts";

/** A pool, as the uses of its members need it. */
export interface UsedPool {
  readonly plan: PoolPlan;
  /** Monotonic milliseconds. */
  now(): number;
  /** How many members that are healthy at `now` and not `tried` there are, counted up to `most`. */
  countLeft(tried: ReadonlySet<Member>, now: number, most: number): number;
  /** A use has begun (1) or ended (-1) in a session. */
  countSession(key: string, change: 1 | -1): void;
  /** The number of connections of a member has changed. */
  counted(member: Member): void;
  /** A session has this member from now on. */
  bind(key: string, member: Member): void;
}

export interface UseOptions {
  /** The use of a member of the pool that the member is itself. */
  readonly inner: MemberUse | undefined;
  /** The session that it belongs to; undefined in a pool without sessions. */
  readonly key: string | undefined;
  /** The session had this member before. */
  readonly keepsSession: boolean;
  /** It is open already, and was dialled by another process: it shows nothing about the member. */
  readonly isOpen?: boolean;
}

/**
 * One use of a member: by a dial, and by the tunnel or exchange that follows it.
 * The first verdict about its health counts: `connected`, `worked`, `failed`,
 * `answered`, `refused` or `abandoned`. `release` gives the connection back.
 */
export class MemberUse {
  readonly pool: UsedPool;
  readonly member: Member;
  readonly inner: MemberUse | undefined;
  readonly keepsSession: boolean;
  readonly #key: string | undefined;
  readonly #begunAt: number;
  readonly #isTrial: boolean;
  #isDialling: boolean;
  #isJudged = false;
  #isOpen = true;

  constructor(pool: UsedPool, member: Member, now: number, { inner, key, keepsSession, isOpen = false }: UseOptions) {
    this.pool = pool;
    this.member = member;
    this.inner = inner;
    this.keepsSession = keepsSession;
    this.#key = key;
    this.#begunAt = now;
    this.#isTrial = inner === undefined && !isOpen && member.health.begin(now);
    this.#isDialling = !isOpen;
    member.active += 1;
    if (!isOpen) member.dialling += 1;
    if (key !== undefined) pool.countSession(key, 1);
    pool.counted(member);
  }

  /** The member that is dialled in the end. */
  get leaf(): MemberUse {
    return this.inner?.leaf ?? this;
  }

  /** The upstream to go through; undefined for none. */
  get hop(): Hop | undefined {
    const { way } = this.leaf.member.plan;
    if (way === "direct") return undefined;
    if (way.kind === "pool") throw new Error("A pool within a pool was not chosen from");
    return way;
  }

  /** `exits/10.0.0.7:1080`. */
  get label(): string {
    return this.names.join("/");
  }

  /** The names of the pools from the outermost one, and of the member. */
  get names(): readonly string[] {
    const { name } = this.pool.plan;
    return this.inner === undefined ? [name, this.member.name] : [name, ...this.inner.names];
  }

  /** The dial has succeeded: the connection is open until `release`. `proves`: the member was asked for something, and did it. */
  connected(proves = true): void {
    if (this.#isDialling) {
      const now = this.pool.now();
      this.member.dialled += 1;
      this.member.latency.observe(now - this.#begunAt, now);
      this.#endDial();
      if (this.#key !== undefined) this.pool.bind(this.#key, this.member);
    }
    this.inner?.connected(proves);
    if (proves) this.worked();
  }

  /** A connection that was kept takes the place of a dial. */
  reused(): void {
    this.#endDial();
    this.inner?.reused();
  }

  /** What was asked for was done. */
  worked(): void {
    this.inner?.worked();
    if (this.#judge()) this.member.health.succeed(this.#isTrial, this.#begunAt, this.pool.now());
  }

  /** The dial, or what followed it, failed because of the member. */
  failed(reason: string): void {
    this.inner?.failed(reason);
    if (this.#judge()) {
      const { eject } = this.pool.plan;
      this.member.failed += 1;
      // A pool is as healthy as its members.
      if (this.inner === undefined)
        this.member.health.fail(reason, this.#isTrial, this.#begunAt, this.pool.now(), eject);
    }
    this.release();
  }

  /** After its end another member has shown that it failed because of this one. */
  blame(reason: string): void {
    this.inner?.blame(reason);
    this.member.failed += 1;
    if (this.inner !== undefined) return;
    const now = this.pool.now();
    const { health } = this.member;
    health.fail(reason, this.#isTrial && health.stateAt(now) === "trial", this.#begunAt, now, this.pool.plan.eject);
  }

  /** The dial failed because of what is behind the member, which works. */
  answered(): void {
    this.worked();
    this.release();
  }

  /** The answer may eject the member: `retryMs` is for how long it says. False when this status does not. */
  refused(status: number, retryMs?: number): boolean {
    const { eject } = this.pool.plan;
    if (this.inner !== undefined) return this.inner.refused(status, retryMs);
    if (!eject.statuses.has(status)) return false;
    this.#judge();
    this.member.health.ejectFor(`answered ${status}`, retryMs, this.#isTrial, this.pool.now(), eject);
    return true;
  }

  /** The dial ended without showing anything about the member. */
  abandoned(): void {
    this.release();
  }

  /** The connection is over. Only the first call counts. */
  release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#endDial();
    if (this.#judge()) this.member.health.abandon(this.#isTrial);
    this.member.active -= 1;
    this.inner?.release();
    if (this.#key !== undefined) this.pool.countSession(this.#key, -1);
    this.pool.counted(this.member);
  }

  #endDial(): void {
    if (!this.#isDialling) return;
    this.#isDialling = false;
    this.member.dialling -= 1;
  }

  /** True for the first verdict. */
  #judge(): boolean {
    if (this.#isJudged) return false;
    this.#isJudged = true;
    return true;
  }
}
