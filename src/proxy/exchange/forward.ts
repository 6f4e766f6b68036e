import type { Conn } from "../../net/conn/conn.ts";
import { showsConnectionAuth } from "../../protocol/http1/persistence.ts";
import { dial, type DialServices } from "../dial/dial.ts";
import { describeFailure, fail, type Failure, type Outcome, succeed } from "../failure.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import { classifyAddress } from "../policy/address-class.ts";
import { writeWhole } from "../read/write-whole.ts";
import type { Route } from "../route/route.ts";
import type { RequestRecord } from "../record/request-record.ts";
import { answerHere } from "./answer-here.ts";
import type { Exchange, ExchangeEnd } from "./exchange.ts";
import { formatAbsoluteTarget, formatOriginHead } from "./origin-head.ts";
import type { ForwardSettings } from "./forward-settings.ts";
import type { Forwarding } from "./forwarding.ts";
import { closeOrigin, type Keeping, type Origin } from "./origin-pool.ts";
import { planOriginRoute, type OriginRoute } from "./origin-route.ts";
import { MAX_KEPT } from "./upload.ts";
import { hasPassed } from "./via.ts";
import type { Grant } from "../policy/decision.ts";

/**
 * How a forwarded request ended: with a failure that the client is still to be
 * told; with its connection ready for the next request; switched to another
 * protocol, with the connection that leads there; or with everything said, and
 * the client's connection still to be closed.
 */
export type ForwardEnd =
  | { readonly kind: "failed"; readonly failure: Failure }
  | { readonly kind: "kept" }
  | { readonly kind: "switched"; readonly conn: Conn }
  | { readonly kind: "closed" };

/** Methods that may be repeated without the client's doing (RFC 9110 §9.2.2, and the safe ones of RFC 4918, 3253, 5323). */
const idempotent: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "OPTIONS",
  "TRACE",
  "PUT",
  "DELETE",
  "PROPFIND",
  "REPORT",
  "SEARCH",
]);

/** A request that is to be carried out: what the stages before have found. */
export interface ForwardTask {
  readonly record: RequestRecord;
  readonly client: Conn;
  readonly request: ForwardRequest;
  readonly authorized: Grant;
  readonly route: Route;
  readonly services: DialServices & { readonly forwarding: Forwarding };
  /** Of the client's connection. */
  readonly exchange: Exchange;
  /** The first try, when that was made by a plan. */
  readonly begun?: { readonly origin: Origin; readonly end: ExchangeEnd };
}

/** Carries out one request: along its route to the origin, and the response back. */
export async function forward(task: ForwardTask): Promise<ForwardEnd> {
  const { record, client, request, route, authorized, begun } = task;
  const settings = record.runtime.forward;
  if (hasPassed(request.head.fields, settings.via)) return failed({ detail: "proxy_loop", note: "by Via" });
  if (request.scheme === "https" && !settings.httpsOverPlain && !isPrivate(record, client)) {
    return failed({ detail: "https_in_clear" });
  }
  if (request.maxForwards === 0) return answer(record, client, request);
  const originRoute = planOriginRoute(
    { client: record, request, route, authorized, settings },
    task.services.forwarding.numbers,
  );
  const tried: TriedRequest = { ...task, originRoute, waitedMs: 0, isClientDone: false };
  const kept = begun?.origin ?? takeKept(tried);
  let end = begun === undefined ? undefined : noteTry(tried, begun.end);
  let reached = kept === undefined ? await reach(tried) : succeed(kept);
  for (;;) {
    if (!reached.ok) return failed(reached.failure);
    const origin = reached.value;
    end ??= await exchange(tried, origin);
    if (end.kind !== "stale" && end.kind !== "challenged") return conclude(tried, origin, end);
    const refusal = end.kind === "stale" ? giveUpStale(request, origin, end) : giveUpChallenged(originRoute, end);
    if (refusal !== undefined) return failed(blameUpstream(originRoute, refusal));
    end = undefined;
    reached = await reach(tried);
  }
}

/** RFC 9112 §9.3.1: only after a kept connection, and only with what can be asked twice, is there a second try. */
function giveUpStale(
  { head }: ForwardRequest,
  { reused }: Origin,
  { reset, whole }: Extract<ExchangeEnd, { kind: "stale" }>,
): Failure | undefined {
  if (!reused) return { detail: "connection_reset", note: `${reset ? "reset" : "closed"} before its answer` };
  if (!idempotent.has(head.method)) return { detail: "connection_stale", note: `${head.method} is not sent twice` };
  return whole ? undefined : { detail: "connection_stale", note: "the request is too long to be sent twice" };
}

/** An upstream that did not take the request may be asked again when there is an answer to what it asks. */
function giveUpChallenged(
  { absolute }: OriginRoute,
  { challenges, whole }: Extract<ExchangeEnd, { kind: "challenged" }>,
): Failure | undefined {
  const verdict = absolute?.login.refuse(challenges);
  if (verdict?.retry === true && whole) return undefined;
  const why = verdict?.retry === false ? verdict.note : "the request is too long to be told twice";
  return refuseLogin(absolute?.upstream, why, 407);
}

/** What an upstream does that was asked to forward is not the target's doing. */
function blameUpstream({ absolute }: OriginRoute, failure: Failure): Failure {
  const isTheirs = describeFailure(failure.detail).blame === "destination" && failure.nextHop === undefined;
  return absolute !== undefined && isTheirs ? { ...failure, nextHop: absolute.upstream } : failure;
}

function refuseLogin(upstream: string | undefined, note: string | undefined, receivedStatus?: number): Failure {
  return {
    detail: "upstream_credentials",
    ...(upstream !== undefined && { nextHop: upstream }),
    ...(note !== undefined && { note }),
    ...(receivedStatus !== undefined && { receivedStatus }),
  };
}

/** A request with its origin route, and what its tries have used up. */
interface TriedRequest extends ForwardTask {
  readonly originRoute: OriginRoute;
  /** Milliseconds that the response was waited for so far, over all tries. */
  waitedMs: number;
  /** The client sent FIN during one of them. */
  isClientDone: boolean;
}

function failed(failure: Failure): ForwardEnd {
  return { kind: "failed", failure };
}

/** Nobody between the client and us can read along. */
function isPrivate({ client: from }: RequestRecord, client: Conn): boolean {
  return client.encrypted || classifyAddress(from) === "loopback";
}

/** Answers for an origin that the request may not reach any more. */
async function answer(record: RequestRecord, client: Conn, request: ForwardRequest): Promise<ForwardEnd> {
  const keeps = request.keepsClient && request.framing.kind === "none";
  record.status = 200;
  const whole = await writeWhole(client, answerHere(request, keeps), record.runtime.timeouts.idleMs);
  return { kind: keeps && whole ? "kept" : "closed" };
}

/**
 * A kept connection for this request, if there is one. One that is bound to this
 * very client comes first, and takes any request: it is the user. The others may
 * have died meanwhile, and get only what can be asked again.
 */
function takeKept({
  record,
  client,
  request,
  originRoute,
  services: { forwarding },
}: TriedRequest): Origin | undefined {
  let origin = forwarding.bound.take(client, originRoute.key, originRoute.fits);
  if (origin === undefined) {
    if (isRepeatable(request)) origin = forwarding.origins.take(originRoute.key, originRoute.fits);
    // The fresh one will be kept in its place: a client that only posts leaves no more of them behind than another.
    else forwarding.origins.dropOldest(originRoute.key);
  }
  if (origin !== undefined) record.dialled = origin.address;
  return origin;
}

/** Whether a request can be told again from what is kept of it. */
function isRepeatable({ head, framing }: ForwardRequest): boolean {
  if (!idempotent.has(head.method)) return false;
  return framing.kind === "none" || (framing.kind === "length" && framing.length <= MAX_KEPT);
}

async function reach({
  record,
  client,
  request,
  route,
  authorized,
  services,
  originRoute,
}: TriedRequest): Promise<Outcome<Origin>> {
  record.enter("dial");
  const dialled = await dial(
    { requester: record, client, target: request.target, route, grant: authorized, wish: originRoute.wish },
    services,
  );
  record.noteDial(dialled);
  if (!dialled.ok) return fail(dialled.failure.detail, dialled.failure);
  const { conn, address } = dialled.value;
  return succeed({ conn, address, ip: route.hops.length === 0 ? address.ip : undefined, reused: false });
}

async function exchange(task: TriedRequest, origin: Origin): Promise<ExchangeEnd> {
  const { record, client, request, originRoute } = task;
  const { timeouts, forward: settings } = record.runtime;
  record.enter("forward");
  const shown = originRoute.absolute?.login.authorize(request.head.method, formatAbsoluteTarget(request));
  if (shown?.ok === false) {
    origin.conn.reset();
    return { kind: "failed", failure: refuseLogin(originRoute.absolute?.upstream, shown.note) };
  }
  const end = await task.exchange.carry(origin.conn, {
    record,
    request,
    outgoing: formatOriginHead(request, {
      client: record.client,
      clientEncrypted: client.encrypted,
      settings,
      absolute: shown && { authorization: shown.value },
    }),
    via: settings.via,
    asksUpstream: originRoute.absolute !== undefined,
    keepsRequest:
      originRoute.absolute?.login.mayAskAgain === true || (origin.reused && idempotent.has(request.head.method)),
    responseMs: timeouts.responseMs,
    idleMs: timeouts.idleMs,
    waitedMs: task.waitedMs,
    isClientDone: task.isClientDone,
  });
  return noteTry(task, end);
}

/** Notes what a try has used up, and what came of it. */
function noteTry(task: TriedRequest, end: ExchangeEnd): ExchangeEnd {
  const { record, exchange: tried } = task;
  task.waitedMs = tried.waitedMs;
  task.isClientDone = tried.isClientDone;
  record.status = tried.status;
  record.forwarded = tried.bytes();
  return end;
}

function conclude(
  task: TriedRequest,
  origin: Origin,
  end: Exclude<ExchangeEnd, { kind: "stale" | "challenged" }>,
): ForwardEnd {
  switch (end.kind) {
    case "failed":
      return failed(blameUpstream(task.originRoute, end.failure));
    case "broken":
      task.record.failure = blameUpstream(task.originRoute, end.failure);
      return { kind: "closed" };
    case "switched":
      return { kind: "switched", conn: origin.conn };
    case "done":
      return putAway(task, origin, end);
    default:
      return end satisfies never;
  }
}

/** Keeps or closes both connections after a whole response. */
function putAway(
  { record, client, request, services, originRoute }: TriedRequest,
  origin: Origin,
  { keepsClient, keepsOrigin, bindsOrigin }: Extract<ExchangeEnd, { kind: "done" }>,
): ForwardEnd {
  const { forwarding } = services;
  const { forward: settings } = record.runtime;
  if (keepsOrigin && (bindsOrigin || showsConnectionAuth(request.fields) || forwarding.bound.owns(origin))) {
    forwarding.bound.put(client, originRoute.key, origin, settings);
  } else {
    keepOrigin(forwarding, origin, keepsOrigin, describeKeeping(originRoute, settings));
  }
  return { kind: keepsClient ? "kept" : "closed" };
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
