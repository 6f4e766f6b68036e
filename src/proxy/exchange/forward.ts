import type { Conn } from "../../net/conn/conn.ts";
import { showsConnectionAuth } from "../../protocol/http1/persistence.ts";
import type { Carriage } from "../dial/carriage.ts";
import type { Dialled } from "../dial/dial.ts";
import type { DialWish } from "../dial/dial-context.ts";
import type { RequestMembers } from "../dial/request-members.ts";
import { describeFailure, type Failure, type Outcome, succeed } from "../failure.ts";
import { classifyAddress } from "../policy/address-class.ts";
import type { Grant } from "../policy/decision.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import { describeReported } from "../record/find-reported.ts";
import type { RequestRecord } from "../record/request-record.ts";
import { resolveLogin } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";
import type { Route } from "../route/route.ts";
import { UpstreamLogin } from "../upstream/upstream-login.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import type { Exchange, ExchangeOptions } from "./exchange.ts";
import type { ExchangeEnd } from "./exchange-end.ts";
import type { ForwardSettings } from "./forward-settings.ts";
import type { Forwarding } from "./forwarding.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import { type Answer, type Beside, Hedge, type Sent } from "./hedge.ts";
import { formatAbsoluteTarget, formatOriginHead } from "./origin-head.ts";
import { closeOrigin, type Keeping, type Origin } from "./origin-pool.ts";
import { planOriginRoute, type OriginRoute } from "./origin-route.ts";
import { findRepeats, isIdempotent, isRepeatable } from "./repeats.ts";
import { hasPassed } from "./via.ts";

/** What follows a try to carry out a request. */
export type ForwardEnd =
  /** Another one, over a connection that is still to be made. */
  | { readonly kind: "again" }
  /** A member of a pool failed at it, and another one may be asked. */
  | { readonly kind: "elsewhere"; readonly failure: Failure }
  /** The client is still to be told of the failure. */
  | { readonly kind: "failed"; readonly failure: Failure }
  /** The client got a part of the response. Its connection is still to be closed. */
  | { readonly kind: "broken"; readonly failure: Failure }
  /** The client's connection is ready for the next request. */
  | { readonly kind: "kept" }
  /** Everything is said. The client's connection is still to be closed. */
  | { readonly kind: "closed" }
  /** The origin's connection leads to another protocol. */
  | { readonly kind: "switched" };

/** A try that has ended. */
export interface Tried {
  readonly origin: Origin;
  readonly end: ExchangeEnd;
}

/** A request that is to be carried out: what the stages before have found. */
export interface ForwardTask {
  /** For who asks what is under way. */
  readonly record: RequestRecord;
  readonly client: Conn;
  readonly request: ForwardRequest;
  readonly grant: Grant;
  readonly route: Route;
  /** The members of pools on the route, which other ones may follow. */
  readonly members?: RequestMembers;
  readonly forwarding: Forwarding;
  readonly upstreams: Upstreams;
  /** Of the client's connection. */
  readonly exchange: Exchange;
}

/** Says why a request is not forwarded by `settings`, whoever may ask for its target. */
export function findForwardFault(
  { head, scheme }: ForwardRequest,
  { via, httpsOverPlain }: ForwardSettings,
  { client, clientEncrypted }: { readonly client: RequestRecord["client"]; readonly clientEncrypted: boolean },
): Failure | undefined {
  if (hasPassed(head.fields, via)) return { detail: "proxy_loop", note: "by Via" };
  // Somebody between the client and us could read along.
  const isPrivate = clientEncrypted || classifyAddress(client) === "loopback";
  return scheme === "https" && !httpsOverPlain && !isPrivate ? { detail: "https_in_clear" } : undefined;
}

const NOTHING = new Uint8Array(0);

/** A way to the origin. */
interface Path {
  readonly originRoute: OriginRoute;
  /** Our login at the upstream that forwards the request. */
  readonly login: UpstreamLogin | undefined;
}

/** One forwarded request: its route to the origin, and what its tries have used up. */
export class ForwardedRequest {
  /** The status that the client was sent, and the bytes that were moved by the last try. */
  status: number | undefined;
  moved: { readonly up: number; readonly down: number } | undefined;
  readonly task: ForwardTask;
  #path!: Path;
  /** The connection of the current try. */
  #origin!: Origin;
  #hedge: Hedge<Path> | undefined;
  /** Milliseconds that the response was waited for so far, over all tries. */
  #waitedMs = 0;
  /** The client sent FIN during one of them. */
  #isClientDone = false;

  constructor(task: ForwardTask) {
    this.task = task;
    this.follow(task.route);
  }

  /** What has to be dialled for it. */
  get wish(): DialWish {
    return this.#path.originRoute.wish;
  }

  /** From now on it takes this route, through other members of the pools. */
  follow(route: Route): void {
    this.#path = this.#pave(route);
  }

  #pave(route: Route): Path {
    const originRoute = this.#plan(route);
    const { forwarder } = originRoute;
    return { originRoute, login: forwarder && createLogin(forwarder, this.task.record, this.task.upstreams) };
  }

  /** What has to be dialled along another route. */
  wishFor(route: Route): DialWish {
    return this.#plan(route).wish;
  }

  #plan(route: Route): OriginRoute {
    const { record, request, grant, forwarding } = this.task;
    const settings = record.runtime.forward;
    return planOriginRoute({ client: record, request, route, authorized: grant, settings }, forwarding.numbers);
  }

  /**
   * A kept connection for this request, if there is one. One that is bound to
   * this very client comes first, and takes any request: it is the user. The
   * others may have died meanwhile, and get only what can be asked again.
   */
  takeKept(): Origin | undefined {
    const { client, request, forwarding } = this.task;
    const { key, fits } = this.#path.originRoute;
    const bound = forwarding.bound.take(client, key, fits);
    if (bound !== undefined) return bound;
    if (isRepeatable(request)) return forwarding.origins.take(key, fits);
    // The fresh one will be kept in its place: a client that only posts leaves no more of them behind than another.
    forwarding.origins.dropOldest(key);
    return undefined;
  }

  openOrigin({ conn, address }: Dialled, { originRoute } = this.#path): Origin {
    return { conn, address, ip: originRoute.isDirect ? address.ip : undefined, reused: false };
  }

  /** Carries the request to an origin, and the response back. */
  async carry(origin: Origin): Promise<Tried> {
    const { exchange, members, record, request, forwarding } = this.task;
    const outgoing = this.#format(this.#path);
    if (!outgoing.ok) {
      origin.conn.reset();
      return { origin, end: { kind: "failed", failure: outgoing.failure } };
    }
    if (request.framing.kind === "none") members?.asked(record.stageSince);
    this.#origin = origin;
    if (this.moved !== undefined) forwarding.uncount(this.moved);
    const end = await exchange.carry(origin.conn, this.#describe(origin, outgoing.value));
    this.#hedge?.end();
    this.#hedge = undefined;
    return this.noteTry({ origin: this.#origin, end });
  }

  /** The head for the next hop, with our login there. */
  #format({ originRoute, login }: Path): Outcome<HeadToWrite> {
    const { record, client, request } = this.task;
    const shown = login?.authorize(request.head.method, formatAbsoluteTarget(request));
    if (shown?.ok === false) return { ok: false, failure: refuseLogin(originRoute.forwarder?.name, shown.note) };
    return succeed(
      formatOriginHead(request, {
        client: record.client,
        clientEncrypted: client.encrypted,
        settings: record.runtime.forward,
        absolute: shown && { authorization: shown.value },
        traceparent: record.trace?.sentOn,
      }),
    );
  }

  #describe({ reused }: Origin, outgoing: HeadToWrite): ExchangeOptions {
    const { record, request, members, grant } = this.task;
    const { originRoute, login } = this.#path;
    const { timeouts, forward: settings } = record.runtime;
    return {
      record,
      request,
      outgoing,
      via: settings.via,
      edits: grant.decision.response,
      reported: describeReported(record),
      asksUpstream: originRoute.forwarder !== undefined,
      keepsRequest: login?.mayAskAgain === true || ((reused || members !== undefined) && isIdempotent(request)),
      responseMs: timeouts.responseMs,
      idleMs: timeouts.idleMs,
      waitedMs: this.#waitedMs,
      isClientDone: this.#isClientDone,
      answered: members && ((head) => members.answered(head)),
      silent: members && ((ms) => (this.#hedge ??= this.#createHedge(members)).silent(ms)),
    };
  }

  #createHedge(members: RequestMembers): Hedge<Path> {
    const { client, forwarding, record, request } = this.task;
    return new Hedge({
      members,
      responseMs: record.runtime.timeouts.responseMs,
      // Where the connection is the user, another one is nobody.
      repeats: forwarding.bound.has(client) ? "never" : findRepeats(request),
      open: (carriage) => this.#openBeside(members, carriage),
      send: (origin, path) => this.#sendHead(origin, path),
      adopt: (answer, delayMs) => this.#adopt(members, answer, delayMs),
    });
  }

  /** A connection through other members: one that was kept, or a new one. */
  async #openBeside(members: RequestMembers, first: Carriage): Promise<Beside<Path> | undefined> {
    const { record, client, request, grant, forwarding } = this.task;
    const path = this.#pave(first.route);
    const kept = forwarding.origins.take(path.originRoute.key, path.originRoute.fits);
    if (kept !== undefined) {
      first.reused();
      return { origin: kept, carriage: first, path };
    }
    const wishFor = (route: Route): DialWish => this.wishFor(route);
    const asked = { requester: record, client, target: request.target, grant, wishFor };
    const dialled = await members.dialBeside(first, { ...asked, watchesClient: false });
    if (!dialled.ok) return undefined;
    const { carriage, value } = dialled;
    const along = carriage === first ? path : this.#pave(carriage.route);
    return { origin: this.openOrigin(value, along), carriage, path: along };
  }

  #sendHead({ conn }: Origin, path: Path): Sent | undefined {
    const outgoing = this.#format(path);
    if (!outgoing.ok) return undefined;
    const bytes = this.task.forwarding.scratch.join(outgoing.value, NOTHING, 0, 0);
    const { length } = bytes;
    return conn.write(bytes) === length ? { head: outgoing.value, bytes: length } : undefined;
  }

  #adopt(members: RequestMembers, { origin, carriage, path, sent }: Answer<Path>, delayMs: number): boolean {
    const { exchange } = this.task;
    if (!exchange.isSilent) return false;
    members.overtake(carriage, delayMs);
    this.#path = path;
    this.#origin = origin;
    exchange.moveTo(origin.conn, sent.bytes, this.#describe(origin, sent.head));
    return true;
  }

  /** Notes what a try has used up. To be called before the exchange begins something else. */
  noteTry(tried: Tried): Tried {
    const { exchange } = this.task;
    this.#waitedMs = exchange.waitedMs;
    this.#isClientDone = exchange.isClientDone;
    this.status = exchange.status;
    this.moved = exchange.bytes();
    return tried;
  }

  /** Says what follows a try. After a whole response both connections are kept or closed. */
  conclude({ origin, end }: Tried): ForwardEnd {
    switch (end.kind) {
      case "failed":
        return this.#fail(end.failure, this.task.request.framing.kind === "none");
      case "broken":
        return { kind: end.kind, failure: blameUpstream(this.#path.originRoute, end.failure) };
      case "stale":
        return this.#retry(giveUpStale(this.task.request, origin, end), end.whole);
      case "challenged":
        return this.#retry(this.#giveUpChallenged(end), end.whole);
      case "switched":
        // The record is that of a tunnel from here on.
        if (this.moved !== undefined) this.task.forwarding.uncount(this.moved);
        return end;
      case "done":
        this.#putAway(origin, end);
        return { kind: end.keepsClient ? "kept" : "closed" };
      default:
        return end satisfies never;
    }
  }

  #retry(refusal: Failure | undefined, whole: boolean): ForwardEnd {
    return refusal === undefined ? { kind: "again" } : this.#fail(refusal, whole);
  }

  /** Another member may be asked when this one failed by itself, and the request can be told again: `whole`. */
  #fail(found: Failure, whole: boolean): ForwardEnd {
    const { forwarder } = this.#path.originRoute;
    const failure = blameUpstream(this.#path.originRoute, found);
    const { members, request } = this.task;
    if (members === undefined || forwarder === undefined || !isForwarders(failure)) return { kind: "failed", failure };
    const isRetold = whole && isIdempotent(request);
    // A client that has a part in the user name could have the member left out.
    const isLogin = failure.detail === "upstream_credentials";
    if (isLogin && typeof forwarder.credentials?.user === "object") members.passOver();
    else if (isLogin && failure.receivedStatus === undefined) members.failed(failure);
    else members.suspect(failure, isRetold);
    return { kind: isRetold ? "elsewhere" : "failed", failure };
  }

  /** An upstream that did not take the request may be asked again when there is an answer to what it asks. */
  #giveUpChallenged({ challenges, whole }: Extract<ExchangeEnd, { kind: "challenged" }>): Failure | undefined {
    const verdict = this.#path.login?.refuse(challenges);
    if (verdict?.retry === true && whole) return undefined;
    const why = verdict?.retry === false ? verdict.note : "the request is too long to be told twice";
    return refuseLogin(this.#path.originRoute.forwarder?.name, why, 407);
  }

  /** Keeps or closes the origin's connection after a whole response. */
  #putAway(origin: Origin, { keepsOrigin, sharesOrigin, bindsOrigin }: Extract<ExchangeEnd, { kind: "done" }>): void {
    const { record, client, request, forwarding } = this.task;
    const { originRoute } = this.#path;
    const { forward: settings } = record.runtime;
    if (keepsOrigin && (bindsOrigin || showsConnectionAuth(request.fields) || forwarding.bound.owns(origin)))
      forwarding.bound.put(client, originRoute.key, origin, settings);
    else keepOrigin(forwarding, origin, keepsOrigin && sharesOrigin, describeKeeping(originRoute, settings));
  }
}

/** The route was chosen for this request, so that there is a login for it. */
function createLogin(hop: Hop, from: RequestRecord, upstreams: Upstreams): UpstreamLogin {
  const login = resolveLogin(hop, from);
  if (!login.ok) throw new Error(`The route leads to ${hop.name}, for which the request has no login`);
  return new UpstreamLogin(hop, upstreams.find(hop), login.value);
}

/** RFC 9112 §9.3.1: only after a kept connection, and only with what can be asked twice, is there a second try. */
function giveUpStale(
  request: ForwardRequest,
  { reused }: Origin,
  { reset, whole }: Extract<ExchangeEnd, { kind: "stale" }>,
): Failure | undefined {
  if (!reused) return { detail: "connection_reset", note: `${reset ? "reset" : "closed"} before its answer` };
  if (!isIdempotent(request)) return { detail: "connection_stale", note: `${request.head.method} is not sent twice` };
  return whole ? undefined : { detail: "connection_stale", note: "the request is too long to be sent twice" };
}

/** What an upstream does that was asked to forward is not the target's doing. */
function blameUpstream({ forwarder }: OriginRoute, failure: Failure): Failure {
  const isTheirs = describeFailure(failure.detail).blame === "destination" && failure.nextHop === undefined;
  return forwarder !== undefined && isTheirs ? { ...failure, nextHop: forwarder.name } : failure;
}

/** Whether an upstream that was asked to forward has failed by itself. When it is slow, the origin may be. */
function isForwarders({ detail, nextHop }: Failure): boolean {
  if (nextHop === undefined) return false;
  return detail !== "response_timeout" && detail !== "response_incomplete";
}

function refuseLogin(upstream: string | undefined, note: string | undefined, receivedStatus?: number): Failure {
  return {
    detail: "upstream_credentials",
    ...(upstream !== undefined && { nextHop: upstream }),
    ...(note !== undefined && { note }),
    ...(receivedStatus !== undefined && { receivedStatus }),
  };
}

/** What is asked of the pool for connections along an origin route. */
export function describeKeeping(
  { key }: OriginRoute,
  { originIdleMs, idleOrigins, idlePerOrigin }: ForwardSettings,
): Keeping {
  return { key, idleMs: originIdleMs, total: idleOrigins, perKey: idlePerOrigin };
}

/** Keeps or closes an origin's connection that is nobody's own. */
export function keepOrigin({ origins }: Forwarding, origin: Origin, keeps: boolean, keeping: Keeping): void {
  if (keeps) origins.put(origin, keeping);
  else closeOrigin(origin.conn);
}
