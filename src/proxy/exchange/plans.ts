import type { Endpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  encodeLower,
  EXPECT,
  HOP_BY_HOP,
  HOST,
  maskOf,
  PROXY_AUTHORIZATION,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
  VIA,
} from "../../protocol/http1/field-names.ts";
import { bitOf, type Fields } from "../../protocol/http1/fields.ts";
import type { RequestFraming } from "../../protocol/http1/message-framing.ts";
import { copyOctets } from "../../protocol/http1/octets.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { showsConnectionAuth } from "../../protocol/http1/persistence.ts";
import type { CredentialChecks } from "../auth/credential-checks.ts";
import { SessionAsker } from "../auth/identify.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import { asksPac } from "../pac/choose-ways.ts";
import { evaluateAddress } from "../policy/evaluate.ts";
import { WELL_KNOWN_PREFIX } from "../policy/nat64.ts";
import { isPooled, type Route } from "../route/route.ts";
import type { Runtime } from "../runtime.ts";
import { describeReported } from "../record/find-reported.ts";
import type { RequestRecord } from "../record/request-record.ts";
import type { ExchangeOptions } from "./exchange.ts";
import { describeKeeping } from "./forward.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import { formatAuthority, formatHeadEnd } from "./origin-head.ts";
import type { Keeping, Origin } from "./origin-pool.ts";
import { type ObjectNumbers, planOriginRoute, type OriginRoute } from "./origin-route.ts";
import type { AllowDecision } from "../policy/decision.ts";

/** What was found out for a forwarded request, and holds for every one of the same connection that is like it. */
export interface Plan {
  /** Valid only under this runtime snapshot. */
  readonly runtime: Runtime;
  /** Rules may decide otherwise from this time on, in milliseconds since the epoch; Infinity when none looks at the time. */
  readonly endsAt: number;
  readonly target: Endpoint;
  readonly user: string | undefined;
  /** Of the user name in `credentials`. */
  readonly parameters: UserParameters | undefined;
  readonly decision: AllowDecision;
  readonly route: Route;
  readonly originRoute: OriginRoute;
  readonly keeping: Keeping;
  /** How the targets begin, as the client wrote them, with the slash of the path; and the authority in it. */
  readonly prefix: Uint8Array;
  readonly authority: Uint8Array;
  readonly credentials: Uint8Array | undefined;
  /** The credentials when they have to be verified again each time. */
  readonly toVerify: string | undefined;
  /** The line of responses that says why the request would have been refused; undefined when it would not. */
  readonly reported: string | undefined;
  /** What goes to the origin after the path, and after the fields of the client. */
  readonly afterPath: Uint8Array;
  readonly afterFields: Uint8Array;
}

/** Of one connection. Its client asks for one target after the other, seldom for more of them by turns. */
const MAX_PLANS = 8;

/** The plans of one client's connection, the last one first. */
export class PlanCache {
  #plans: readonly Plan[] = [];
  readonly #numbers: ObjectNumbers;

  constructor(numbers: ObjectNumbers) {
    this.#numbers = numbers;
  }

  /** Learns from a request that went through all stages. What no longer holds for its client is forgotten. */
  learn(record: RequestRecord, client: Conn): void {
    const latest = makePlan(record, client, this.#numbers);
    const before = this.#plans.filter(
      ({ runtime, user, originRoute }) =>
        runtime === record.runtime && user === record.user && originRoute.key !== latest?.originRoute.key,
    );
    this.#plans = latest === undefined ? before : [latest, ...before.slice(0, MAX_PLANS - 1)];
  }

  /** Finds what holds for a request: a GET without a body, for a target and with credentials that were seen before. */
  find(head: RequestHead, runtime: Runtime): Plan | undefined {
    const plans = this.#plans;
    if (plans.length === 0 || !isUsual(head)) return undefined;
    for (let index = 0; index < plans.length; index++) {
      const plan = plans[index] as Plan;
      if (plan.runtime === runtime && isLike(plan, head) && isCurrent(plan)) return plan;
    }
    return undefined;
  }
}

/**
 * Gives everything about a forwarded request that went well which follows from
 * the configuration alone, and from what `isLike` compares. Undefined when
 * something else had a say in it, such as a function, DNS, or the challenge of an
 * upstream, or when connections are not to be used again.
 */
function makePlan(record: RequestRecord, client: Conn, numbers: ObjectNumbers): Plan | undefined {
  const { runtime, target, user, parameters, decision, foundName, route, requestHead, scheme } = record;
  if (
    record.failure !== undefined ||
    record.protocol !== "http" ||
    scheme !== "http" ||
    runtime.forward.originIdleMs === 0
  )
    return undefined;
  // The members of a pool take turns.
  if (
    target === undefined ||
    route === undefined ||
    isPooled(route) ||
    requestHead === undefined ||
    decision?.verdict !== "allow"
  )
    return undefined;
  // An approval may end before the connection does.
  if (decision.ask !== undefined) return undefined;
  // What a rule changes is changed for each request, by the stages.
  if (decision.request !== undefined || decision.response !== undefined) return undefined;
  const { policy } = runtime;
  const now = policy.times === undefined ? 0 : Date.now();
  const found = foundName === undefined ? {} : { foundName: { kind: "name", text: foundName } as const };
  // The name of this request may not have been completed, because its path met no rule for which that matters.
  const mayBeCompleted = policy.looksAtRequests;
  const query = {
    client: record.client,
    user,
    parameters,
    target,
    now,
    request: "any",
    mayBeCompleted,
    ...found,
  } as const;
  const evaluation = evaluateAddress(policy, query, runtime.nat64 ?? WELL_KNOWN_PREFIX);
  if (evaluation.kind !== "decided") return undefined;
  // A rule that could match looks at the method or the path: the next request may have others.
  if (evaluation.rule !== undefined && policy.rules[evaluation.rule]?.request !== undefined) return undefined;
  // Something else decided: the request began when other rules held.
  if (evaluation.decision !== decision) return undefined;
  // A PAC file may choose another route for another path.
  if (asksPac(runtime, decision.via)) return undefined;
  const authorized = { decision, ...(foundName !== undefined && { foundName }) };
  const destination = { scheme, target };
  const originRoute = planOriginRoute(
    { client: record, request: destination, route, authorized, settings: runtime.forward },
    numbers,
  );
  if (originRoute.forwarder !== undefined) return undefined;
  const shown = requestHead.fields.getAll(PROXY_AUTHORIZATION);
  // A query may follow the authority without a path: the next target would not begin with the same path.
  const authority = /^http:\/\/([^/?]+)\//.exec(requestHead.target)?.[1];
  if (shown.length > 1 || authority === undefined) return undefined;
  return {
    runtime,
    endsAt: policy.times?.nextChange(now) ?? Infinity,
    target,
    user,
    parameters,
    decision,
    route,
    originRoute,
    keeping: describeKeeping(originRoute, runtime.forward),
    prefix: Buffer.from(`http://${authority}/`, "latin1"),
    authority: Buffer.from(authority, "latin1"),
    credentials: shown[0] === undefined ? undefined : Buffer.from(shown[0], "latin1"),
    reported: describeReported(record),
    toVerify: shown[0] === undefined || runtime.authenticator.isSettled(shown[0]) ? undefined : shown[0],
    afterPath: Buffer.from(` HTTP/1.1\r\nHost: ${formatAuthority(scheme, target)}\r\n`, "latin1"),
    afterFields: Buffer.from(
      formatHeadEnd("1.1", {
        client: record.client,
        clientEncrypted: client.encrypted,
        settings: runtime.forward,
      }),
      "latin1",
    ),
  };
}

/** Whether no rule can have begun or ceased to match since. */
function isCurrent({ endsAt }: Plan): boolean {
  return endsAt === Infinity || Date.now() < endsAt;
}

/** Fields that may say more than the next request of the same kind did. */
const telling = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, TE, UPGRADE, VIA].reduce((mask, id) => mask | bitOf(id), 0);

const keepAlive = encodeLower("keep-alive");

/** Whether a request has nothing in it but what most have, and another one may follow it. */
function isUsual({ method, version, fields }: RequestHead): boolean {
  if (method !== "GET" || version !== "1.1" || !fields.exact || (fields.seen & telling) !== 0) return false;
  const connection = fields.find(CONNECTION);
  if (connection >= 0 && !(fields.isValueAt(connection, keepAlive) && fields.isOnce(CONNECTION))) return false;
  return !showsConnectionAuth(fields);
}

/** Whether a request asks for the same target as the one that is remembered, with the same credentials. */
function isLike(
  { prefix, authority, credentials }: Plan,
  { octets, targetStart, targetEnd, fields }: RequestHead,
): boolean {
  if (targetEnd - targetStart < prefix.length || !isAt(octets, targetStart, prefix)) return false;
  // A target has no fragment.
  for (let at = targetStart + prefix.length; at < targetEnd; at++) if (octets[at] === HASH) return false;
  if (!isOnlyValue(fields, HOST, authority)) return false;
  return credentials === undefined
    ? !fields.has(PROXY_AUTHORIZATION)
    : isOnlyValue(fields, PROXY_AUTHORIZATION, credentials);
}

const HASH = 0x23;

/** Whether a field is there once, with this value. */
function isOnlyValue(fields: Fields, id: number, wanted: Uint8Array): boolean {
  if (!fields.isOnce(id)) return false;
  const index = fields.find(id);
  const start = fields.valueStart(index);
  return fields.valueEnd(index) - start === wanted.length && isAt(fields.octets, start, wanted);
}

function isAt(octets: Uint8Array, from: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index++) if (octets[from + index] !== wanted[index]) return false;
  return true;
}

/** Whether certificate and credentials still show the same user, as can be told at once. */
export function isStill(
  { runtime, user, toVerify }: Plan,
  record: RequestRecord,
  client: Conn,
  checks: CredentialChecks,
): boolean {
  const { certificate } = record;
  if (certificate?.findFault(Date.now()) !== undefined) return false;
  if (toVerify === undefined) return true;
  const outcome = runtime.authenticator.authenticate([toVerify], checks, undefined, new SessionAsker(record, client));
  return !(outcome instanceof Promise) && outcome.ok && (outcome.user ?? certificate?.user) === user;
}

/** A request that is carried out by a plan, with the head for the origin as `formatOriginHead` would write it. */
export class PlannedRequest implements ExchangeOptions, HeadToWrite {
  readonly record: RequestRecord;
  readonly plan: Plan;
  readonly origin: Origin;
  readonly head: RequestHead;

  constructor(record: RequestRecord, plan: Plan, origin: Origin, head: RequestHead) {
    this.record = record;
    this.plan = plan;
    this.origin = origin;
    this.head = head;
  }

  get request(): this {
    return this;
  }

  get outgoing(): this {
    return this;
  }

  get framing(): RequestFraming & { kind: "none" } {
    return NO_BODY;
  }

  get upgrade(): undefined {
    return undefined;
  }

  get keepsClient(): boolean {
    return true;
  }

  get via(): string {
    return this.plan.runtime.forward.via;
  }

  get reported(): string | undefined {
    return this.plan.reported;
  }

  get asksUpstream(): boolean {
    return false;
  }

  get keepsRequest(): boolean {
    return true;
  }

  get responseMs(): number {
    return this.plan.runtime.timeouts.responseMs;
  }

  get idleMs(): number {
    return this.plan.runtime.timeouts.idleMs;
  }

  get waitedMs(): number {
    return 0;
  }

  get isClientDone(): boolean {
    return false;
  }

  get most(): number {
    const { afterPath, afterFields } = this.plan;
    return this.head.octets.length + afterPath.length + afterFields.length;
  }

  fill(target: Buffer): number {
    const { prefix, afterPath, afterFields } = this.plan;
    const { octets, targetStart, targetEnd, fields } = this.head;
    let at = copyOctets(GET, 0, GET.length, target, 0);
    at = copyOctets(octets, targetStart + prefix.length - 1, targetEnd, target, at);
    at = copyOctets(afterPath, 0, afterPath.length, target, at);
    at = fields.fill(target, at, 0, notForOrigins);
    return copyOctets(afterFields, 0, afterFields.length, target, at);
  }
}

const NO_BODY = { kind: "none" } as const;
const GET = Buffer.from("GET ", "latin1");
/** `isUsual` lets no request pass that nominates fields. */
const notForOrigins = maskOf(HOP_BY_HOP) | bitOf(HOST);
