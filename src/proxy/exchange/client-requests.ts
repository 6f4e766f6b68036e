import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import type { HeadParser } from "../../protocol/http1/head-parser.ts";
import { CR, LF } from "../../protocol/http1/octets.ts";
import { createRequestHeadParser, type RequestHead, type RequestHeadError } from "../../protocol/http1/request-head.ts";
import type { CredentialChecks } from "../auth/credential-checks.ts";
import type { Quotas } from "../limit/quotas.ts";
import type { RequestLimits, TargetOutcome } from "../limit/request-limits.ts";
import { readForwardRequest } from "../read/forward-request.ts";
import type { Runtime, RuntimeHolder } from "../runtime.ts";
import type { RequestRecord } from "../record/request-record.ts";
import { ACTIVE } from "../../net/conn/idle-watch.ts";
import type { Tracing } from "../trace/tracing.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { Bandwidths } from "../limit/bandwidths.ts";
import { Deadline } from "./deadline.ts";
import type { Forwarding, IdleClient, TakenClient } from "./forwarding.ts";
import { Exchange, type ExchangeOwner } from "./exchange.ts";
import type { ExchangeEnd } from "./exchange-end.ts";
import { ForwardedRequest, type ForwardTask, keepOrigin, type Tried } from "./forward.ts";
import type { Origin } from "./origin-pool.ts";
import { isStill, type Plan, PlanCache, PlannedRequest } from "./plans.ts";

/** What forwarded requests share. */
export interface ForwardServices {
  readonly runtime: RuntimeHolder;
  readonly forwarding: Forwarding;
  readonly upstreams: Upstreams;
  readonly checks: CredentialChecks;
  /** The rates of requests, and the counts of targets. */
  readonly requestLimits: RequestLimits;
  /** Absent where no use is counted. */
  readonly quotas: Pick<Quotas, "refuse"> | undefined;
  readonly draining: boolean;
  /** Absent where nothing is traced. */
  readonly tracing?: Pick<Tracing, "findParent"> | undefined;
  readonly bandwidths: Bandwidths;
}

/** Who keeps the records of requests that are carried out by plans. */
export interface PlannedRecords {
  /** The user for whom the connection holds a slot. */
  readonly slotUser: string | undefined;
  begin(plan: Plan, origin: Origin): RequestRecord;
  /** Notes what the exchange has come to. */
  note(record: RequestRecord, exchange: Pick<Exchange, "status" | "bytes">): void;
  /** The request is over, and the connection is kept. */
  finish(record: RequestRecord): void;
}

/** What comes on a client's connection after a request. The connection is detached. */
export type Next =
  /** Nothing: it is still to be closed. */
  | { readonly kind: "gone" }
  /** Nothing here: the connection was taken away. */
  | { readonly kind: "taken" }
  /** A request for all stages. Its head was read, unless it came in parts or is wrong: then its bytes are unread. */
  | { readonly kind: "request"; readonly head: RequestHead | undefined }
  /** A request that was carried out by a plan, up to an end after which there is more to do than to wait for the next one. */
  | { readonly kind: "planned"; readonly resume: () => Resumed };

/** A forwarded request after its first try. */
export interface Resumed {
  readonly forwarded: ForwardedRequest;
  readonly tried: Tried;
}

const GONE: Next = { kind: "gone" };
const TAKEN: Next = { kind: "taken" };
const UNREAD: Next = { kind: "request", head: undefined };

const NOTHING = new Uint8Array(0);

/** Octets of CRLF. */
const EMPTY_LINE = 2;

const LONE_CR = Uint8Array.of(CR);

/**
 * The forwarded requests of one client's connection, one after the other: the
 * one exchange that carries them out, the plans that hold for those to come, and
 * the wait in between.
 */
export class ClientRequests implements ConnSink, ExchangeOwner, IdleClient {
  readonly #client: Conn;
  readonly #services: ForwardServices;
  readonly #records: PlannedRecords;
  readonly #plans: PlanCache;
  readonly #idle: Deadline;
  #exchange: Exchange | undefined;
  /** The request that is carried out by a plan. */
  #planned: PlannedRequest | undefined;
  #parser: HeadParser<RequestHead, RequestHeadError> | undefined;
  #parserOf: Runtime | undefined;
  /** The last request. */
  #before: RequestRecord | undefined;
  /** What is to be learnt from it, it went through all stages. */
  #isUnlearnt = false;
  #resolve: ((next: Next) => void) | undefined;
  /** A CR came, which may be of an empty line. */
  #heldCr = false;

  constructor(client: Conn, services: ForwardServices, records: PlannedRecords) {
    this.#client = client;
    this.#services = services;
    this.#records = records;
    this.#idle = new Deadline(client.timers.idle, () => this.#leave(GONE));
    this.#plans = new PlanCache(services.forwarding.numbers);
  }

  /** Opens a request that went through all stages before this one. */
  open(task: Omit<ForwardTask, "client" | "forwarding" | "upstreams" | "exchange">): ForwardedRequest {
    const { forwarding, upstreams } = this.#services;
    return new ForwardedRequest({ ...task, client: this.#client, forwarding, upstreams, exchange: this.#use() });
  }

  /**
   * Waits for what follows the request `before` on the kept connection. A request
   * for which a plan holds is carried out at once: no stage would decide otherwise.
   * `since`: monotonic milliseconds at which the client began to wait, elsewhere.
   */
  next(before: RequestRecord, since = ACTIVE): Next | Promise<Next> {
    const client = this.#client;
    if (client.closed) return GONE;
    this.#before = before;
    this.#isUnlearnt = true;
    // Pipelined: it is here already. No request is as short as an empty line.
    if (client.unreadBytes > EMPTY_LINE) return UNREAD;
    const { draining, forwarding } = this.#services;
    if ((draining && forwarding.offer === undefined) || before.runtime.forward.clientIdleMs <= 0) return GONE;
    return new Promise((resolve) => {
      forwarding.waiting.add(this);
      this.#resolve = resolve;
      this.#wait(before, since);
      // It was offered, and could not go.
      if (draining) this.#leave(GONE);
    });
  }

  expire(): void {
    this.#idle.expire();
  }

  take(): TakenClient | undefined {
    const client = this.#client;
    const isIdle = this.#resolve !== undefined && this.#planned === undefined && !this.#heldCr;
    if (!isIdle || client.ended || client.unreadBytes > 0 || this.#services.forwarding.bound.has(client))
      return undefined;
    const { lastActivity } = this.#idle;
    const fd = client.detachable && client.takeDescriptor?.()?.fd;
    if (fd === undefined) return undefined;
    this.#leave(TAKEN);
    return { fd, record: this.#before as RequestRecord, user: this.#records.slotUser, lastActivity };
  }

  /** The client's connection carries no more requests. */
  release(): void {
    this.#idle.leave();
    if (this.#resolve !== undefined) this.#services.forwarding.waiting.delete(this);
    this.#resolve = undefined;
    this.#exchange?.release();
    this.#exchange = undefined;
    this.#services.forwarding.bound.release(this.#client);
  }

  // What the client does between two requests.

  data(chunk: Uint8Array): void {
    const bytes = this.#heldCr || chunk[0] === CR ? this.#skipEmptyLines(chunk) : chunk;
    if (bytes.length === 0) return;
    const { current } = this.#services.runtime;
    // Before its head, which may be lent, makes room for another one.
    if (this.#isUnlearnt) this.#learn();
    const parser = this.#useParser(current);
    const parsed = parser.parse(bytes);
    if (parsed.kind !== "done") {
      parser.reset();
      this.#leave(UNREAD);
      this.#client.unread(bytes);
      return;
    }
    if (parsed.used < bytes.length) {
      this.#client.detach();
      this.#client.unread(bytes.subarray(parsed.used));
    }
    if (!this.#carryByPlan(parsed.value, current)) this.#leave({ kind: "request", head: parsed.value });
  }

  end(): void {
    this.#leave(GONE);
  }

  drain(): void {
    // Every response was taken whole.
  }

  close(): void {
    this.#leave(GONE);
  }

  /**
   * RFC 9112 §2.2: clients of old send an empty line after a body. No request
   * begins with it, and the client is as idle as before.
   */
  #skipEmptyLines(chunk: Uint8Array): Uint8Array {
    const bytes = this.#heldCr ? Buffer.concat([LONE_CR, chunk]) : chunk;
    let at = 0;
    while (bytes[at] === CR && bytes[at + 1] === LF) at += EMPTY_LINE;
    this.#heldCr = bytes.length === at + 1 && bytes[at] === CR;
    return this.#heldCr ? NOTHING : bytes.subarray(at);
  }

  #learn(): void {
    const before = this.#before as RequestRecord;
    this.#plans.learn(before, this.#client);
    this.#isUnlearnt = false;
    before.requestHead = undefined;
  }

  #useParser(current: Runtime): HeadParser<RequestHead, RequestHeadError> {
    if (this.#parser === undefined || this.#parserOf !== current) {
      this.#parser = createRequestHeadParser(current.limits.head, "marks");
      this.#parserOf = current;
    }
    return this.#parser;
  }

  /** Carries out a request for which a plan holds; false when there is none, or no connection to use. */
  #carryByPlan(head: RequestHead, current: Runtime): boolean {
    const { forwarding, draining, checks, quotas, tracing } = this.#services;
    const before = this.#before as RequestRecord;
    if (draining || forwarding.bound.has(this.#client)) return false;
    // What goes on is told another span.
    if (tracing?.findParent(head, before.client) !== undefined) return false;
    const plan = this.#plans.find(head, current);
    if (plan === undefined) return false;
    const { limits } = current;
    if (limits.hasQuotas && quotas?.refuse(plan.user, limits) !== undefined) return false;
    // A request that a limit refuses goes through the stages, where it is told so. Nothing is taken twice.
    const room = limits.hasRequestLimits && this.#takeRoom(plan, before, current);
    if (room === "none") return false;
    const origin = isStill(plan, before, this.#client, checks)
      ? forwarding.origins.take(plan.originRoute.key, plan.originRoute.fits)
      : undefined;
    if (origin === undefined) {
      if (room !== false) this.#services.requestLimits.giveBackWhole(room);
      return false;
    }
    const record = this.#records.begin(plan, origin);
    if (room !== false && "slot" in room) record.targetSlot = room.slot;
    this.#idle.disarm();
    this.#planned = new PlannedRequest(record, plan, origin, head);
    this.#use().begin(origin.conn, this.#planned, this);
    return true;
  }

  #takeRoom({ user, target }: Plan, { client }: RequestRecord, { limits }: Runtime): TargetOutcome | "none" {
    return this.#services.requestLimits.takeWhole({ client, user, target }, limits, performance.now()) || "none";
  }

  /** A request that was carried out by a plan came to its end. */
  ended(end: ExchangeEnd): void {
    const planned = this.#planned as PlannedRequest;
    const exchange = this.#use();
    const { record, plan, origin } = planned;
    this.#records.note(record, exchange);
    this.#planned = undefined;
    const isUsual = end.kind === "done" && end.keepsClient && !end.bindsOrigin;
    if (!isUsual || this.#services.draining || this.#client.closed || this.#client.unreadBytes > EMPTY_LINE) {
      this.#leave({ kind: "planned", resume: () => this.#resume(planned, end) });
      return;
    }
    keepOrigin(this.#services.forwarding, origin, end.keepsOrigin && end.sharesOrigin, plan.keeping);
    this.#records.finish(record);
    this.#wait(record);
  }

  /** Makes of a request that was carried out by a plan one that went through all stages. */
  #resume({ record, plan, origin, head }: PlannedRequest, end: ExchangeEnd): Resumed {
    const { decision, route } = plan;
    const request = readForwardRequest(head);
    if (!request.ok) throw new Error("A plan holds for a request that is not well-formed");
    const forwarded = this.open({ record, request: request.value, grant: { decision }, route });
    return { forwarded, tried: forwarded.noteTry({ origin, end }) };
  }

  #use(): Exchange {
    return (this.#exchange ??= new Exchange(this.#client, this.#services));
  }

  #wait(before: RequestRecord, since = ACTIVE): void {
    this.#before = before;
    this.#idle.arm(before.runtime.forward.clientIdleMs, since);
    this.#client.attach(this);
    this.#services.forwarding.offer?.(this);
  }

  #leave(next: Next): void {
    const resolve = this.#resolve;
    if (resolve === undefined) return;
    this.#resolve = undefined;
    this.#idle.disarm();
    this.#services.forwarding.waiting.delete(this);
    this.#client.detach();
    resolve(next);
  }
}
