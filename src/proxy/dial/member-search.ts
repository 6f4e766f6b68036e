import { clientKey, type ClientPrefix } from "../../address/client-key.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import type { Endpoint } from "../../address/endpoint.ts";
import { fail, type Failure, type Outcome } from "../failure.ts";
import type { AffinityKey } from "../route/pool-plan.ts";
import type { Hop } from "../route/hop.ts";
import type { PooledRoute } from "../route/route.ts";
import type { Member } from "../upstream/member.ts";
import { MemberUse } from "../upstream/member-use.ts";
import { Pool, type PoolWish, type Shortage } from "../upstream/pool.ts";
import { askForMember } from "./ask-member.ts";
import { Carriage } from "./carriage.ts";
import type { DialRequester, DialServices } from "./dial-context.ts";

/** Whom members are searched for. */
export interface SearchRequest {
  readonly requester: DialRequester;
  readonly client: Conn | undefined;
  readonly target: Endpoint;
  readonly route: PooledRoute;
}

/** What of a request may decide about its member. */
export interface Affine {
  readonly requester: Pick<DialRequester, "client" | "user" | "parameters" | "runtime">;
  readonly target: Endpoint;
}

/** A member of each pool of the route, or why there is none. */
export type Found = Outcome<Carriage>;

interface Short {
  readonly ok: false;
  readonly pool: Pool;
  readonly shortage: Shortage;
}

/** The prefix of clients that are told apart by their whole address. */
const WHOLE_ADDRESS: ClientPrefix = { v4: 32, v6: 128 };

/** Milliseconds between two rounds of a request that waits for members that fail. */
const PAUSE_MS = 500;

/** The parameter in user names that names a session. */
const SESSION = "session";

/** The value of a request that decides about its member; undefined for a request without a session. */
export function findAffinity({ requester, target }: Affine, by: AffinityKey): string | undefined {
  if (by === "target") return target.host.text;
  const { client, user, parameters, runtime } = requester;
  if (by === SESSION) {
    const session = parameters?.[SESSION];
    // Two users may choose the same one. A value has no space.
    return session === undefined ? undefined : `session ${session} ${user ?? ""}`;
  }
  // Without a user it is the client that comes again.
  if (by === "user" && user !== undefined) return `user ${user}`;
  return clientKey(client, runtime.limits?.clientPrefix ?? WHOLE_ADDRESS);
}

/** The search of one request for members of the pools on its route. Each one is tried once. */
export class MemberSearch implements PoolWish {
  readonly tried = new Set<Member>();
  /** Members that one dial may try: as many as the most patient pool says. */
  readonly attempts: number;
  readonly request: SearchRequest;
  /** Milliseconds for which the request may wait: as long as the most patient pool says. */
  readonly waitMs: number;
  /** In monotonic milliseconds. */
  readonly #waitsUntil: number;
  readonly #services: DialServices;
  readonly #steps: (Hop | Pool)[] = [];
  readonly #pools: Pool[] = [];
  /** What the request lacks for members that it cannot use for that. */
  #unfit: Failure | undefined;

  constructor(request: SearchRequest, services: DialServices) {
    this.request = request;
    this.#services = services;
    let attempts = 0;
    let waitMs = 0;
    for (const step of request.route.steps) {
      if (step.kind !== "pool") {
        this.#steps.push(step);
        continue;
      }
      const pool = services.pools.find(step);
      this.#steps.push(pool);
      this.#pools.push(pool);
      this.#unfit = pool.passOverUnfit(request.requester, this.tried) ?? this.#unfit;
      attempts = Math.max(attempts, pool.plan.attempts);
      waitMs = Math.max(waitMs, pool.plan.waitMs);
    }
    this.attempts = attempts;
    this.waitMs = waitMs;
    this.#waitsUntil = waitMs === 0 ? 0 : performance.now() + waitMs;
  }

  #passOverUnfit(): void {
    const { requester } = this.request;
    for (const pool of this.#pools) this.#unfit = pool.passOverUnfit(requester, this.tried) ?? this.#unfit;
  }

  key(by: AffinityKey): string | undefined {
    return findAffinity(this.request, by);
  }

  /** Chooses members; waits for them where the pool says so. */
  find(): Found | Promise<Found> {
    const found = this.next();
    if (found instanceof Promise) return found.then((first) => this.#waitFor(first));
    return found.ok ? found : this.#waitFor(found);
  }

  /** Chooses members anew after a pause, each of which failed before; undefined when the time to wait is over. */
  async findAgain(): Promise<Found | undefined> {
    if (this.#waitsUntil - performance.now() < PAUSE_MS) return undefined;
    const pause = new TimeLimit(PAUSE_MS, this.request.client);
    const { promise, resolve } = Promise.withResolvers<void>();
    pause.whenOver(resolve);
    await promise;
    pause.release();
    if (pause.over === "client_gone") return fail("client_gone");
    this.tried.clear();
    this.#passOverUnfit();
    return this.find();
  }

  /** Chooses members that were not tried yet, without a wait. */
  next(): Found | Promise<Found> {
    if (this.#pools.some(({ plan }) => typeof plan.balance === "function")) return this.#ask();
    return this.#conclude(this.#take());
  }

  /** Attempts that could follow one through these members, counted up to `most`: as many as the pool with the most members has. */
  countFurther({ uses }: Carriage, most: number): number {
    if (most <= 0) return 0;
    const { tried } = this;
    const [only] = uses;
    const isOnlyMember = only?.inner === undefined && only?.pool.plan.members.length === 1;
    if (isOnlyMember && uses.length === 1) return 0;
    const added = uses.map(({ leaf }) => leaf.member).filter((member) => !tried.has(member));
    for (const member of added) tried.add(member);
    let left = 0;
    for (const { pool } of uses) left = Math.max(left, pool.countLeft(tried, pool.now(), most));
    for (const member of added) tried.delete(member);
    return left;
  }

  /** From now on others are looked for, where there are any. False when there are none. */
  passOver({ uses }: Carriage): boolean {
    let passed = false;
    for (const { leaf, pool } of uses) {
      this.tried.add(leaf.member);
      if (pool.countLeft(this.tried, pool.now(), 1) > 0) passed = true;
      else this.tried.delete(leaf.member);
    }
    return passed;
  }

  #take(preferred?: ReadonlyMap<Pool, Member>): { readonly ok: true; readonly value: Carriage } | Short {
    const parts: (Hop | MemberUse)[] = [];
    for (const step of this.#steps) {
      const part = step instanceof Pool ? step.take(this, preferred?.get(step)) : step;
      if (typeof part !== "string") {
        parts.push(part);
        continue;
      }
      for (const use of parts) if (use instanceof MemberUse) use.abandoned();
      return { ok: false, pool: step as Pool, shortage: part };
    }
    return { ok: true, value: new Carriage(this.request.route, parts) };
  }

  #conclude(taken: { readonly ok: true; readonly value: Carriage } | Short): Found {
    return taken.ok ? taken : { ok: false, failure: explainShortage(taken, this.#unfit) };
  }

  async #ask(): Promise<Found> {
    const preferred = new Map<Pool, Member>();
    for (const pool of this.#pools) {
      const asked = await askForMember(pool, this, this.request, this.#services);
      if (!asked.ok) return asked;
      if (asked.value !== undefined) preferred.set(pool, asked.value);
    }
    return this.#conclude(this.#take(preferred));
  }

  /** Waits in the queue of the pool that has nobody. Functions are not asked again. */
  #waitFor(found: Found): Found | Promise<Found> {
    if (found.ok || found.failure.detail === "hook_failed" || found.failure === this.#unfit) return found;
    const taken = this.#take();
    if (taken.ok) return taken;
    const { waitMs } = taken.pool.plan;
    return waitMs === 0 ? found : this.#wait(taken, Math.min(waitMs, this.#waitsUntil - performance.now()));
  }

  #wait(short: Short, ms: number): Promise<Found> {
    const { pool } = short;
    const { promise, resolve } = Promise.withResolvers<Found>();
    const limit = new TimeLimit(ms, this.request.client);
    let timer: Timer | undefined;
    let over = false;
    const end = (found: Found): void => {
      over = true;
      clearTimeout(timer);
      limit.release();
      resolve(found);
    };
    const leave = pool.wait(this.key("client") ?? "", () => {
      const taken = this.#take();
      if (!taken.ok) return false;
      end(taken);
      return true;
    });
    const wake = (): void => {
      const now = pool.now();
      const next = pool.nextChangeAt(now);
      pool.wake();
      if (!over && next !== Infinity) timer = setTimeout(wake, Math.min(next - now, ms) + 1);
    };
    if (leave === undefined) {
      end(this.#conclude(short));
      return promise;
    }
    limit.whenOver(() => {
      leave();
      end(limit.over === "client_gone" ? fail("client_gone") : this.#conclude(short));
    });
    wake();
    return promise;
  }
}

function explainShortage({ pool, shortage }: Short, unfit: Failure | undefined): Failure {
  const { name } = pool.plan;
  if (shortage === "tried" && unfit !== undefined) return unfit;
  if (shortage === "full") return { detail: "upstreams_full", nextHop: name };
  const now = pool.now();
  const next = pool.nextChangeAt(now);
  // When a check brings a member back, or an operator, nobody knows.
  const retry = next === Infinity ? {} : { retryAfterSeconds: Math.max(1, Math.ceil((next - now) / 1000)) };
  return { detail: "no_healthy_upstream", nextHop: name, ...retry };
}
