import type { Endpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  encodeLower,
  EXPECT,
  HOST,
  PROXY_AUTHORIZATION,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
  VIA,
} from "../../protocol/http1/field-names.ts";
import { bitOf, type Fields } from "../../protocol/http1/fields.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { showsConnectionAuth } from "../../protocol/http1/persistence.ts";
import { SessionAsker } from "../auth/identify.ts";
import { evaluate } from "../policy/decide.ts";
import type { AllowDecision } from "../policy/policy.ts";
import type { Route } from "../route/route.ts";
import type { Runtime } from "../runtime.ts";
import { type DialledAddress, openNextSession, type Session } from "../session.ts";
import { formatAuthority, formatHeadEnd } from "./origin-head.ts";
import type { Keeping } from "./origin-pool.ts";
import { planWay, type Way } from "./plan-way.ts";

/** What was found out for a forwarded request, and holds for every plain one of the same client that `isLike` it. */
export interface Memory {
  /** The configuration by which it was found out, and for as long as which it holds. */
  readonly runtime: Runtime;
  readonly target: Endpoint;
  readonly user: string | undefined;
  readonly decision: AllowDecision;
  readonly route: Route;
  readonly way: Way;
  readonly keeping: Keeping;
  /** How the targets begin, as the client wrote them, with the slash of the path; and the authority in it. */
  readonly prefix: Uint8Array;
  readonly authority: Uint8Array;
  readonly credentials: Uint8Array | undefined;
  /** The credentials when they have to be verified again each time. */
  readonly toVerify: string | undefined;
  /** What goes to the origin before the path, after it, and after the fields of the client. */
  readonly beforePath: Uint8Array;
  readonly afterPath: Uint8Array;
  readonly afterFields: Uint8Array;
}

/** Of one connection. Its client asks for one target after the other, seldom for more of them by turns. */
const MAX_MEMORIES = 8;

const byClient = new WeakMap<Conn, readonly Memory[]>();

/**
 * Remembers what the last request of a connection has shown, with what is
 * remembered of those before; gives all that still holds, the last one first.
 */
export function remember(session: Session, client: Conn): readonly Memory[] {
  const latest = recall(session, client);
  const before = (byClient.get(client) ?? []).filter(
    ({ runtime, target, user }) =>
      runtime === session.runtime && user === session.user && (latest === undefined || target !== latest.target),
  );
  const memories = latest === undefined ? before : [latest, ...before.slice(0, MAX_MEMORIES - 1)];
  byClient.set(client, memories);
  return memories;
}

/**
 * Gives everything about a forwarded request that went well which follows from
 * the configuration alone, and from what `isLike` compares. Undefined when
 * something else had a say in it, such as a function, DNS, or the challenge of an
 * upstream, or when connections are not to be used again.
 */
function recall(session: Session, client: Conn): Memory | undefined {
  const { runtime, target, user, decision, foundName, route, requestHead, scheme } = session;
  const { originIdleMs, idleOrigins, idlePerOrigin } = runtime.forward;
  if (session.failure !== undefined || session.protocol !== "http" || scheme !== "http" || originIdleMs === 0)
    return undefined;
  if (target === undefined || route === undefined || requestHead === undefined || decision?.verdict !== "allow")
    return undefined;
  if (evaluate(runtime.policy, { client: session.client, user, target }).kind !== "decided") return undefined;
  const way = planWay(
    session,
    { scheme, target },
    route,
    { decision, ...(foundName !== undefined && { foundName }) },
    runtime.forward,
  );
  if (way.absolute !== undefined) return undefined;
  const shown = requestHead.fields.getAll(PROXY_AUTHORIZATION);
  const authority = /^http:\/\/([^/]+)\//.exec(requestHead.target)?.[1];
  if (shown.length > 1 || authority === undefined) return undefined;
  return {
    runtime,
    target,
    user,
    decision,
    route,
    way,
    keeping: { key: way.key, idleMs: originIdleMs, total: idleOrigins, perKey: idlePerOrigin },
    prefix: Buffer.from(`http://${authority}/`, "latin1"),
    authority: Buffer.from(authority, "latin1"),
    credentials: shown[0] === undefined ? undefined : Buffer.from(shown[0], "latin1"),
    toVerify: shown[0] === undefined || runtime.authenticator.isSettled(shown[0]) ? undefined : shown[0],
    beforePath: Buffer.from("GET ", "latin1"),
    afterPath: Buffer.from(` HTTP/1.1\r\nHost: ${formatAuthority(scheme, target)}\r\n`, "latin1"),
    afterFields: Buffer.from(
      formatHeadEnd("1.1", {
        client: session.client,
        clientEncrypted: client.encrypted,
        settings: runtime.forward,
      }),
      "latin1",
    ),
  };
}

/** Finds what holds for a request: a GET without a body, for a target and with credentials that were seen before. */
export function findLike(memories: readonly Memory[], head: RequestHead): Memory | undefined {
  if (!isUsual(head)) return undefined;
  for (let index = 0; index < memories.length; index++) {
    const memory = memories[index] as Memory;
    if (isLike(memory, head)) return memory;
  }
  return undefined;
}

/** Fields that may say more than the next request of the same kind did. */
const telling = [CONTENT_LENGTH, TRANSFER_ENCODING, EXPECT, TE, UPGRADE, VIA].reduce((mask, id) => mask | bitOf(id), 0);

const keepAlive = encodeLower("keep-alive");

/** Whether a request has nothing in it but what most have, and another one may follow it. */
function isUsual({ method, version, fields }: RequestHead): boolean {
  if (method !== "GET" || version !== "1.1" || (fields.seen & telling) !== 0) return false;
  const connection = fields.find(CONNECTION);
  if (connection >= 0 && !(fields.isValueAt(connection, keepAlive) && fields.find(CONNECTION, connection + 1) < 0))
    return false;
  return !showsConnectionAuth(fields);
}

/** Whether a request asks for the same target as the one that is remembered, with the same credentials. */
function isLike(
  { prefix, authority, credentials }: Memory,
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
  const index = fields.find(id);
  if (index < 0) return false;
  const start = fields.valueStart(index);
  if (fields.valueEnd(index) - start !== wanted.length || !isAt(fields.octets, start, wanted)) return false;
  return fields.find(id, index + 1) < 0;
}

function isAt(octets: Uint8Array, from: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index++) if (octets[from + index] !== wanted[index]) return false;
  return true;
}

/** Whether certificate and credentials still show the same user, as can be told at once. */
export function isStill({ runtime, user, toVerify }: Memory, session: Session, client: Conn): boolean {
  const { certificate } = session;
  if (certificate?.findFault(Date.now()) !== undefined) return false;
  if (toVerify === undefined) return true;
  const outcome = runtime.authenticator.authenticate([toVerify], undefined, new SessionAsker(session, client));
  return !(outcome instanceof Promise) && outcome.ok && (outcome.user ?? certificate?.user) === user;
}

/** Opens the account of a request as it is when that is sent: the stages before took no time, since all was known. */
export function openRepeat(before: Session, memory: Memory, dialled: DialledAddress): Session {
  const session = openNextSession(before, memory.runtime);
  const { stageMs } = session;
  stageMs.accept = 0;
  stageMs.handshake = 0;
  stageMs.authenticate = 0;
  stageMs.request = 0;
  stageMs.decide = 0;
  stageMs.route = 0;
  session.stage = "forward";
  session.protocol = "http";
  session.method = "GET";
  session.scheme = "http";
  session.target = memory.target;
  session.user = memory.user;
  session.decision = memory.decision;
  session.route = memory.route;
  session.dialled = dialled;
  return session;
}
