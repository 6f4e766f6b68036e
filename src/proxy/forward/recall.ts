import type { Endpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { getAll } from "../../protocol/http1/fields.ts";
import { AUTHORITY_START, type PlainRequest } from "../../protocol/http1/plain-request.ts";
import { SessionAsker } from "../auth/identify.ts";
import { evaluate } from "../policy/decide.ts";
import type { AllowDecision } from "../policy/policy.ts";
import type { Route } from "../route/route.ts";
import type { Runtime } from "../runtime.ts";
import type { Session } from "../session.ts";
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
  /** As the client wrote them. */
  readonly authority: Uint8Array;
  readonly credentials: Uint8Array | undefined;
  /** The credentials when they have to be verified again each time. */
  readonly toVerify: string | undefined;
  /** What goes to the origin after the path, and after the fields of the client. */
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
  const shown = getAll(requestHead.fields, "proxy-authorization");
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
    authority: Buffer.from(authority, "latin1"),
    credentials: shown[0] === undefined ? undefined : Buffer.from(shown[0], "latin1"),
    toVerify: shown[0] === undefined || runtime.authenticator.isSettled(shown[0]) ? undefined : shown[0],
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

/** Finds what holds for a plain request. */
export function findLike(memories: readonly Memory[], request: PlainRequest, bytes: Uint8Array): Memory | undefined {
  for (let index = 0; index < memories.length; index++) {
    const memory = memories[index] as Memory;
    if (isLike(memory, request, bytes)) return memory;
  }
  return undefined;
}

/** Whether a plain request asks for the same target as the one that is remembered, with the same credentials. */
function isLike(memory: Memory, request: PlainRequest, bytes: Uint8Array): boolean {
  const { authority, credentials } = memory;
  if (!isAt(bytes, AUTHORITY_START, request.authorityEnd, authority)) return false;
  if (credentials === undefined) return request.credentialsTo === 0;
  return request.credentialsTo > 0 && isAt(bytes, request.credentialsFrom, request.credentialsTo, credentials);
}

function isAt(bytes: Uint8Array, from: number, to: number, wanted: Uint8Array): boolean {
  if (to - from !== wanted.length) return false;
  for (let index = 0; index < wanted.length; index++) if (bytes[from + index] !== wanted[index]) return false;
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
