import { findRetryAfter } from "../../protocol/http1/retry-after.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";
import { type Failure, type Outcome, succeed } from "../failure.ts";
import type { Carriage } from "./carriage.ts";
import type { DialServices } from "./dial-context.ts";
import type { MemberUse } from "../upstream/member-use.ts";
import { dialPatiently } from "./dial-patiently.ts";
import { dialPooled, type PooledDial, type PooledOutcome } from "./fail-over.ts";
import { MemberSearch, type SearchRequest } from "./member-search.ts";
import { type Doing, suspect } from "./suspicion.ts";

/** The members of pools that carry one forwarded request, over all its tries. */
export class RequestMembers {
  /** Those of the current try. */
  carriage: Carriage;
  /** Attempts that have begun, those beside others included. */
  attempts = 1;
  readonly #search: MemberSearch;
  readonly #services: DialServices;
  /** Members that failed at the request, or the target did, behind them: they are looked at when another one has answered. */
  readonly #suspects: { readonly use: MemberUse; readonly carriage: Carriage; readonly failure: Failure }[] = [];
  /** The request to the current members is complete since then, in monotonic milliseconds; undefined for one that has a body. */
  #askedAt: number | undefined;

  constructor(search: MemberSearch, first: Carriage, services: DialServices) {
    this.#search = search;
    this.#services = services;
    this.carriage = first;
  }

  /** Dials through the chosen members first. */
  async dial(request: Omit<PooledDial, "search">): Promise<PooledOutcome> {
    const search = this.#search;
    const outcome = await dialPatiently({ ...request, search }, this.#services, this.carriage);
    if (outcome.carriage !== undefined) this.carriage = outcome.carriage;
    this.attempts = Math.max(this.attempts, this.carriage.attempt);
    return outcome;
  }

  /** Dials through members beside the current ones, or through others when those fail. */
  async dialBeside(first: Carriage, request: Omit<PooledDial, "search">): Promise<PooledOutcome> {
    const outcome = await dialPooled({ ...request, search: this.#search }, this.#services, first);
    this.attempts = Math.max(this.attempts, outcome.carriage?.attempt ?? 0);
    return outcome;
  }

  /** The whole request is sent to the current members. */
  asked(now: number): void {
    this.#askedAt = now;
  }

  /** A response came, from the last member or from behind it: its status may eject the member. */
  answered(head: ResponseHead): void {
    const use = this.carriage.uses.at(-1);
    // What it answers after it was gone does not say how long it takes.
    if (use !== undefined && this.#askedAt !== undefined && !use.isSuspected) {
      const now = use.pool.now();
      use.leaf.member.silence.answered(now - this.#askedAt, now);
    }
    for (const { use: one, carriage, failure } of this.#suspects.splice(0)) this.#look(one, carriage, failure);
    if (!this.carriage.refused(head.status, findRetryAfter(head, Date.now()), false)) this.carriage.worked();
  }

  /** The last member cannot be asked. */
  failed({ detail }: Failure): void {
    const use = this.carriage.uses.at(-1);
    if (use === undefined) return;
    this.#search.tried.add(use.leaf.member);
    use.failed(detail);
    this.carriage.release();
  }

  /** The last member failed at the request, or passed on what the target did. `isRetold`: another member will be asked, and may show more. */
  suspect(failure: Failure, isRetold: boolean): void {
    const { carriage } = this;
    const use = carriage.uses.at(-1);
    if (use === undefined) return;
    this.#search.tried.add(use.leaf.member);
    if (isRetold) this.#suspects.push({ use, carriage, failure });
    else this.#look(use, carriage, failure);
    carriage.release();
  }

  /** The last member does not know the user name of this request, and works. */
  passOver(): void {
    const use = this.carriage.uses.at(-1);
    if (use !== undefined) this.#search.tried.add(use.leaf.member);
    this.carriage.worked();
    this.carriage.release();
  }

  /** Chooses others after a failure; undefined when there are none. */
  async next(): Promise<Carriage | undefined> {
    const found = this.attempts < this.#search.attempts ? await this.#search.next() : undefined;
    if (found?.ok !== true) return undefined;
    this.#adopt(found.value);
    this.attempts += 1;
    this.carriage.attempt = this.attempts;
    return this.carriage;
  }

  /** Milliseconds of silence after which another member is worth a try, with `responseMs` for all of them; 0 for no limit. */
  findDelay(responseMs: number): number {
    const usual = Math.max(...this.carriage.uses.map(({ leaf }) => leaf.member.silence.delayMs));
    if (responseMs === 0) return usual;
    const further = this.#search.countFurther(this.carriage, this.#search.attempts - this.attempts);
    return Math.min(usual, responseMs / (further + 2));
  }

  /** Looks at the last member, which keeps silent at the request, unless it said something to others in the last `ms`. `found` is called when it is not there. */
  doubt(ms: number, found?: () => void): void {
    const { carriage } = this;
    const use = carriage.uses.at(-1);
    if (use === undefined || use.isSuspected) return;
    const { silence } = use.leaf.member;
    if (!silence.isDoubtful(ms, use.pool.now())) return;
    void suspect(use, { doing: "silence", reason: "upstream_timeout" }, carriage, this.#services).then((isOwn) => {
      if (isOwn) found?.();
    });
  }

  /**
   * Chooses members to ask beside the current ones; undefined when there are none. As
   * long as those may only be slow, a session stays, backups and direct connections
   * are not used, and few requests are sent twice (`later`: there were enough of them).
   */
  async nextBeside(areGone: boolean): Promise<Carriage | "later" | undefined> {
    const { carriage } = this;
    const isHeld = carriage.uses.some(({ isOfSession }) => isOfSession);
    if (this.attempts >= this.#search.attempts || (isHeld && !areGone)) return undefined;
    const use = carriage.uses.at(-1);
    const silence = use?.leaf.member.silence;
    if (!areGone && silence?.hasSpare(use?.pool.now() ?? 0) !== true) return "later";
    if (!this.#search.passOver(carriage)) return undefined;
    const found = await this.#search.next();
    if (!found.ok) return undefined;
    const beside = found.value;
    if (!areGone && beside.isLastResort && !carriage.isLastResort) {
      beside.release();
      return undefined;
    }
    if (!areGone) silence?.takeSpare();
    this.attempts += 1;
    beside.attempt = this.attempts;
    return beside;
  }

  /** Members that were asked beside others are free for another try. */
  giveBack({ uses }: Carriage): void {
    for (const { leaf } of uses) this.#search.tried.delete(leaf.member);
  }

  /** Members that were asked beside the current ones after `ms` have answered, and carry the request from now on. */
  overtake(carriage: Carriage, ms: number): void {
    const before = this.carriage;
    const use = before.uses.at(-1);
    this.doubt(ms);
    if (use !== undefined && !use.isSuspected && this.#askedAt !== undefined) {
      const now = use.pool.now();
      use.leaf.member.silence.tookLonger(now - this.#askedAt, now);
    }
    this.#adopt(carriage);
    before.release();
  }

  #adopt(carriage: Carriage): void {
    this.carriage = carriage;
    this.#askedAt = undefined;
  }

  #look(use: MemberUse, carriage: Carriage, failure: Failure): void {
    const { detail } = failure;
    const doing: Doing = detail === "upstream_credentials" ? "login" : "wrong";
    void suspect(use, { doing, reason: detail }, carriage, this.#services);
  }
}

/** Chooses the first members for a forwarded request; waits for them where a pool says so. */
export async function findMembers(request: SearchRequest, services: DialServices): Promise<Outcome<RequestMembers>> {
  const search = new MemberSearch(request, services);
  const first = await search.find();
  return first.ok ? succeed(new RequestMembers(search, first.value, services)) : first;
}
