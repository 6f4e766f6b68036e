import type { Hop } from "../route/route.ts";
import type { Member } from "./member.ts";
import type { Pool } from "./pool.ts";

/**
 * One use of a member: by a dial, and by the tunnel or exchange that follows it.
 * A dial ends with one verdict: `connected`, `failed`, `answered`, `refused` or
 * `abandoned`. `release` gives the connection back, once, and follows every verdict
 * but `connected` by itself.
 */
export class MemberUse {
  readonly pool: Pool;
  readonly member: Member;
  /** The use of a member of the pool that the member is itself. */
  readonly inner: MemberUse | undefined;
  readonly #key: string | undefined;
  readonly #begunAt: number;
  readonly #isTrial: boolean;
  #isDialling = true;
  #isOpen = true;

  constructor(pool: Pool, member: Member, inner: MemberUse | undefined, key: string | undefined, now: number) {
    this.pool = pool;
    this.member = member;
    this.inner = inner;
    this.#key = key;
    this.#begunAt = now;
    this.#isTrial = inner === undefined && member.health.begin(now);
    member.active += 1;
    member.dialling += 1;
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
    const { plan } = this.pool;
    return this.inner === undefined ? `${plan.name}/${this.member.name}` : `${plan.name}/${this.inner.label}`;
  }

  /** The dial has succeeded: the connection is open until `release`. */
  connected(): void {
    if (!this.#isDialling) return;
    const now = this.pool.now();
    this.member.dialled += 1;
    this.member.latency.observe(now - this.#begunAt, now);
    this.#settle();
    this.inner?.connected();
    this.member.health.succeed(this.#isTrial, now);
    if (this.#key !== undefined) this.pool.bind(this.#key, this.member);
  }

  /** The dial, or what followed it, failed because of the member. */
  failed(reason: string): void {
    const now = this.pool.now();
    this.member.failed += 1;
    this.#settle();
    if (this.inner === undefined)
      this.member.health.fail(reason, this.#isTrial, this.#begunAt, now, this.pool.plan.eject);
    this.inner?.failed(reason);
    this.release();
  }

  /** The dial failed because of what is behind the member, which works. */
  answered(): void {
    if (!this.#isDialling) return;
    this.#settle();
    this.member.health.succeed(this.#isTrial, this.pool.now());
    this.inner?.answered();
    this.release();
  }

  /** The answer may eject the member: `retryAfterMs` is for how long it says. False when this status does not. */
  refused(status: number, retryAfterMs?: number): boolean {
    if (this.inner !== undefined) {
      const ejects = this.inner.refused(status, retryAfterMs);
      if (ejects) this.#settle();
      return ejects;
    }
    const { eject } = this.pool.plan;
    if (!eject.statuses.has(status)) return false;
    this.#settle();
    this.member.health.ejectFor(`answered ${status}`, retryAfterMs, this.#isTrial, this.pool.now(), eject);
    return true;
  }

  /** The dial ended without showing anything about the member. */
  abandoned(): void {
    if (!this.#isDialling) return;
    this.#settle();
    this.member.health.abandon(this.#isTrial);
    this.inner?.abandoned();
    this.release();
  }

  /** The connection is over. Only the first call counts. */
  release(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#isDialling) {
      this.#settle();
      this.member.health.abandon(this.#isTrial);
    }
    this.member.active -= 1;
    this.inner?.release();
    if (this.#key !== undefined) this.pool.countSession(this.#key, -1);
    this.pool.counted(this.member);
  }

  #settle(): void {
    if (!this.#isDialling) return;
    this.#isDialling = false;
    this.member.dialling -= 1;
  }
}
