import type { TimeLimit } from "../../net/conn/time-limit.ts";
import { describeFailure, fail, type Failure, type FailureDetail } from "../failure.ts";
import type { Route } from "../route/route.ts";
import type { MemberUse } from "../upstream/member-use.ts";
import type { Carriage } from "./carriage.ts";
import { type Dialled, type DialFailure, type DialOutcome, dialWithin, limitDial } from "./dial.ts";
import type { DialRequest, DialServices, DialWish } from "./dial-context.ts";
import type { Found, MemberSearch } from "./member-search.ts";
import { suspect } from "./suspicion.ts";

/** A dial along a route with pools. */
export interface PooledDial extends Omit<DialRequest, "route" | "wish"> {
  readonly search: MemberSearch;
  /** What is dialled along a route; a tunnel to the target when absent. */
  readonly wishFor?: (route: Route) => DialWish;
}

/** `carriage`: the members that carry the connection, or that the last attempt went through. */
export type PooledOutcome =
  | { readonly ok: true; readonly value: Dialled; readonly carriage: Carriage }
  | (DialFailure & { readonly carriage?: Carriage });

/** How long an attempt may take before another one starts beside it, in milliseconds: several times its usual time. */
const USUAL_TIMES = 3;
const LEAST_DELAY_MS = 250;
const MOST_DELAY_MS = 2000;
const UNKNOWN_DELAY_MS = 1000;

/**
 * Dials through one member after the other until one leads to the target. Only a
 * failure of the member itself leads to the next one. Each attempt has its share
 * of the time that is left. A slow one is not waited for: the next one starts
 * beside it, and the first connection wins. `first` is what was chosen already.
 */
export function dialPooled(dial: PooledDial, services: DialServices, first: Carriage): Promise<PooledOutcome> {
  const { search } = dial;
  const isAlone = search.countFurther(first, search.attempts - first.attempt) === 0;
  return isAlone ? dialAlone(dial, services, first) : new FailOver(dial, services, limitDial(dial)).run(first);
}

/** Dials without another member to turn to: there is nothing to race, and no time to share. */
async function dialAlone(dial: PooledDial, services: DialServices, carriage: Carriage): Promise<PooledOutcome> {
  const { requester, client, target, grant, wishFor } = dial;
  const { route } = carriage;
  const wish = wishFor?.(route);
  const limit = limitDial(dial);
  const step = requester.trace === undefined ? undefined : requester.trace.begin("attempt", carriage.name);
  const request = { requester, client, target, grant, route, ...(wish && { wish }), ...(step && { step }) };
  let outcome: DialOutcome;
  try {
    outcome = await dialWithin(request, services, limit);
  } catch (error) {
    carriage.release();
    limit.release();
    throw error;
  }
  step?.end(outcome.ok ? undefined : outcome.failure.detail);
  // Another member may have become healthy in the meantime.
  if (!outcome.ok) return new FailOver(dial, services, limit).goOn(carriage, outcome);
  carriage.connected(wish?.endAtUpstream !== true);
  limit.release();
  return { ok: true, value: outcome.value, carriage };
}

const LATE = "upstream_timeout";

interface Unclear {
  readonly use: MemberUse;
  readonly carriage: Carriage;
  readonly detail: FailureDetail;
}

interface Attempt {
  readonly carriage: Carriage;
  readonly limit: TimeLimit;
}

class FailOver {
  readonly #dial: PooledDial;
  readonly #services: DialServices;
  readonly #limit: TimeLimit;
  readonly #result = Promise.withResolvers<PooledOutcome>();
  /** In the order in which they began. */
  readonly #running = new Set<Attempt>();
  /** Members that did not answer, with what they carried. What is behind them may be slow, or have failed. */
  readonly #unclear: Unclear[] = [];
  #begun = 0;
  #last: (DialFailure & { readonly carriage?: Carriage }) | undefined;
  #timer: Timer | undefined;
  #over = false;

  constructor(dial: PooledDial, services: DialServices, limit: TimeLimit) {
    this.#dial = dial;
    this.#services = services;
    this.#limit = limit;
  }

  run(first: Carriage): Promise<PooledOutcome> {
    // A forwarded request may have been tried elsewhere before.
    this.#begun = first.attempt - 1;
    this.#start(first);
    return this.#result.promise;
  }

  /** Goes on after an attempt that has failed. */
  goOn(carriage: Carriage, outcome: DialFailure): Promise<PooledOutcome> {
    this.#begun = carriage.attempt;
    this.#lose(carriage, outcome);
    return this.#result.promise;
  }

  #start(carriage: Carriage): void {
    const { search, wishFor } = this.#dial;
    this.#begun += 1;
    carriage.attempt = this.#begun;
    const further = search.countFurther(carriage, search.attempts - this.#begun);
    // Without another one to turn to there is nothing to measure out.
    const isAlone = further === 0 && this.#running.size === 0;
    const ms = this.#limit.remainingMs / (further + 1);
    const limit = isAlone ? this.#limit : this.#limit.part(ms);
    if (!isAlone) this.#limit.whenOver(() => this.#stop());
    if (this.#over) {
      carriage.release();
      return;
    }
    const attempt = { carriage, limit };
    this.#running.add(attempt);
    const isRaced = further > 0 && !carriage.uses.some(({ keepsSession }) => keepsSession);
    if (isRaced) this.#timer = setTimeout(() => this.#race(attempt), Math.min(findDelay(carriage), ms / 2));
    const { route } = carriage;
    const { trace } = this.#dial.requester;
    const step = trace === undefined ? undefined : trace.begin("attempt", carriage.name);
    const request: DialRequest = {
      ...this.#dial,
      route,
      ...(wishFor && { wish: wishFor(route) }),
      ...(step && { step }),
    };
    void dialWithin(request, this.#services, limit).then(
      (outcome) => {
        step?.end(outcome.ok ? undefined : outcome.failure.detail);
        this.#ended(attempt, outcome);
      },
      (error: unknown) => {
        this.#running.delete(attempt);
        carriage.release();
        this.#close();
        this.#result.reject(error);
      },
    );
  }

  #race({ carriage }: Attempt): void {
    this.#timer = undefined;
    if (this.#dial.search.passOver(carriage)) this.#next(carriage);
  }

  /** Looks whether a slow member is there at all: its last resort is not used as long as it is. */
  #look(carriage: Carriage): void {
    const [use] = carriage.uses;
    if (use === undefined || carriage.uses.length > 1) return;
    void this.#suspect({ use, carriage, detail: LATE }).then((isOwn) => {
      if (isOwn && !this.#over) this.#next();
    });
  }

  #suspect({ use, carriage, detail }: Unclear): Promise<boolean> {
    const doing = detail === LATE ? "silence" : "wrong";
    return suspect(use, { doing, reason: detail }, carriage, this.#services);
  }

  #ended(attempt: Attempt, outcome: DialOutcome): void {
    const { carriage, limit } = attempt;
    this.#running.delete(attempt);
    if (limit !== this.#limit) limit.release();
    if (this.#over) {
      if (outcome.ok) outcome.value.conn.reset();
      carriage.release();
    } else if (outcome.ok) {
      this.#win(carriage, outcome.value);
    } else {
      this.#lose(carriage, outcome);
    }
  }

  #win(carriage: Carriage, value: Dialled): void {
    // Who began earlier and is not there yet took too long for the same thing.
    for (const { carriage: other } of this.#running) if (other.attempt < carriage.attempt) this.#noteLate(other);
    carriage.connected(this.#dial.wishFor?.(carriage.route).endAtUpstream !== true);
    this.#close();
    this.#result.resolve({ ok: true, value, carriage });
  }

  #lose(carriage: Carriage, outcome: DialFailure): void {
    this.#endWait();
    this.#last = { ...outcome, carriage };
    if (this.#judge(carriage, outcome.failure)) this.#next();
    else this.#finish(this.#last);
  }

  /** Tells each member what a failure shows about it. True when another one may do better. */
  #judge(carriage: Carriage, failure: Failure): boolean {
    const { uses } = carriage;
    const { tried } = this.#dial.search;
    const { culprit, detail, receivedStatus } = failure;
    const at = uses.findIndex((use) => culprit !== undefined && use.hop?.name === culprit);
    const use = uses[at];
    if (use !== undefined) {
      tried.add(use.leaf.member);
      for (const before of uses.slice(0, at)) before.answered();
      for (const behind of uses.slice(at + 1)) behind.abandoned();
      if (failure.unclear === true) this.#unclear.push({ use, carriage, detail });
      else use.failed(detail);
      return true;
    }
    const refusing =
      detail === "upstream_credentials" ? uses.find(({ hop }) => hop?.name === failure.nextHop) : undefined;
    if (refusing !== undefined) {
      // Another member may know the user name that was made for this request.
      tried.add(refusing.leaf.member);
      for (const one of uses) one.answered();
      return true;
    }
    const last = uses.at(-1);
    const isRefusal = receivedStatus !== undefined && last?.hop?.name === failure.nextHop;
    if (last !== undefined && isRefusal && carriage.refused(receivedStatus, failure.receivedRetryMs, true)) {
      tried.add(last.leaf.member);
      carriage.release();
      return true;
    }
    const isTargets = culprit === undefined && describeFailure(detail).blame === "destination";
    const isDirect = last !== undefined && last.hop === undefined;
    if (isTargets && isDirect) {
      // What cannot be reached from here may be reached by another way.
      tried.add(last.leaf.member);
      carriage.release();
      return true;
    }
    for (const one of uses) {
      if (isTargets || isRefusal) one.answered();
      else one.abandoned();
    }
    return false;
  }

  /** Begins the next attempt, or ends when nothing is left to try or to wait for. `beside`: those that are slow. */
  #next(beside?: Carriage): void {
    const { search } = this.#dial;
    if (this.#begun >= search.attempts) {
      this.#giveUp();
      return;
    }
    const found = search.next();
    if (found instanceof Promise) void found.then((late) => this.#go(late, beside));
    else this.#go(found, beside);
  }

  #go(found: Found, beside: Carriage | undefined): void {
    if (found.ok && found.value.isLastResort && beside?.isLastResort === false) {
      found.value.release();
      if (!this.#over) this.#look(beside);
    } else if (found.ok && !this.#over) this.#start(found.value);
    else if (found.ok) found.value.release();
    else this.#giveUp();
  }

  #giveUp(): void {
    if (this.#over || this.#running.size > 0) return;
    this.#finish(this.#last ?? fail("no_healthy_upstream"));
  }

  /** The time is up, or the client is gone. */
  #stop(): void {
    if (this.#over) return;
    if (this.#limit.over === "client_gone") {
      this.#finish(fail("client_gone"));
      return;
    }
    for (const { carriage } of this.#running) this.#noteLate(carriage);
    this.#finish(this.#last ?? this.#explainTimeout());
  }

  /** Of several members any may be the late one. */
  #noteLate(carriage: Carriage): void {
    const [use] = carriage.uses;
    if (use !== undefined && carriage.uses.length === 1) this.#unclear.push({ use, carriage, detail: LATE });
  }

  #explainTimeout(): PooledOutcome {
    const [attempt] = this.#running;
    const nextHop = attempt?.carriage.uses[0]?.hop?.name;
    return {
      ...fail("upstream_timeout", nextHop === undefined ? {} : { nextHop }),
      ...(attempt && { carriage: attempt.carriage }),
    };
  }

  #finish(outcome: PooledOutcome): void {
    this.#close();
    this.#result.resolve(outcome);
  }

  /** Ends everything that still runs. */
  #close(): void {
    this.#over = true;
    this.#endWait();
    for (const one of this.#unclear) {
      if (this.#limit.over !== "client_gone") void this.#suspect(one);
      one.use.abandoned();
    }
    for (const { carriage, limit } of this.#running) {
      carriage.release();
      limit.end("client_gone");
    }
    this.#limit.release();
  }

  #endWait(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function findDelay({ uses }: Carriage): number {
  const known = uses.map(({ leaf }) => leaf.member.latency.average).filter((average) => average !== undefined);
  if (known.length === 0) return UNKNOWN_DELAY_MS;
  return Math.min(Math.max(USUAL_TIMES * Math.max(...known), LEAST_DELAY_MS), MOST_DELAY_MS);
}
