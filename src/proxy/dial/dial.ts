import { TimeLimit } from "../../net/conn/time-limit.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import type { AllowDecision } from "../policy/decision.ts";
import { lookUpHost } from "../resolve/resolve-host.ts";
import { answerWith, askFamilies, type Connected, type DialledAddress, type Questions } from "./connect-race.ts";
import { DialContext, type DialRequest, type DialServices, type DialWish } from "./dial-context.ts";
import { introduceClient } from "./introduce-client.ts";
import { passHops } from "./pass-hops.ts";
import { secureConn } from "./secure-conn.ts";

/** A connection that leads to the target. */
export interface Dialled extends Connected {
  /** The decision that holds for the dialled address: addresses of one name can have different ones. */
  readonly decision: AllowDecision;
}

/** A failure, with what was reached before it. */
export interface DialFailure {
  readonly ok: false;
  readonly failure: Failure;
  readonly address?: DialledAddress;
  readonly decision?: AllowDecision;
}

export type DialOutcome = { readonly ok: true; readonly value: Dialled } | DialFailure;

/**
 * Connects to a target along its route. Resolves names, guards each address, and
 * dials the very addresses that passed. Ends with a failure when the rest of
 * `connectMs` is over or `client` closes.
 */
export async function dial(request: DialRequest, services: DialServices): Promise<DialOutcome> {
  const limit = limitDial(request);
  try {
    return await dialWithin(request, services, limit);
  } finally {
    limit.release();
  }
}

/** The time that a request leaves for a dial. */
export function limitDial({ requester, grant, client, watchesClient }: Omit<DialRequest, "route">): TimeLimit {
  const ms = requester.runtime.timeouts.connectMs - (grant.spentMs ?? 0);
  return watchesClient === false ? new TimeLimit(ms, undefined, client?.timers.deadlines) : new TimeLimit(ms, client);
}

/** Makes one of the dials for a request. The caller releases the limit. */
export async function dialWithin(request: DialRequest, services: DialServices, limit: TimeLimit): Promise<DialOutcome> {
  const { grant, route, wish } = request;
  const context = new DialContext(request, services, limit);
  const isDirect = route.hops.length === 0;
  const reached = isDirect ? introduce(context, await connectTarget(context)) : await passHops(context);
  const opened = reached.ok && wish?.tls !== undefined ? await secure(context, reached.value, wish.tls) : reached;
  const address = opened.ok ? opened.value.address : opened.address;
  const decision = isDirect && address !== undefined ? context.findDecision(address.ip) : grant.decision;
  if (!opened.ok) return { ok: false, failure: opened.failure, decision, ...(address && { address }) };
  const { conn } = opened.value;
  if (limit.over !== "client_gone") return { ok: true, value: { conn, address: opened.value.address, decision } };
  conn.reset();
  return fail("client_gone");
}

function connectTarget(context: DialContext): Promise<Outcome<Connected>> {
  const { target, grant, requester } = context.request;
  const { host, port } = target;
  const { late, lookups } = grant;
  const connect = (questions: Questions) =>
    context.connect(late === undefined ? questions : [...questions, late], port, (ip) => context.guard(ip));
  const addresses = grant.addresses ?? (host.kind === "ip" ? [host.ip] : undefined);
  if (addresses !== undefined) return connect(answerWith(addresses));
  if (lookups !== undefined) return connect(askFamilies(lookups));
  const own = lookUpHost(host, context.services.resolver, requester.client, context.trace);
  return connect(askFamilies(own)).finally(() => own.release());
}

/** Sends the PROXY header, when the target gets one. */
function introduce({ request }: DialContext, connected: Outcome<Connected>): Reached {
  const { proxyProtocol } = request.grant.decision;
  if (!connected.ok || proxyProtocol === undefined) return connected;
  const { conn, address } = connected.value;
  const header = introduceClient(proxyProtocol, request.requester, request.client);
  if (conn.write(header) === header.length) return connected;
  conn.reset();
  return { ...fail("connection_reset", { note: "closed before it was told of the client" }), address };
}

/** Speaks TLS to the target itself, whatever leads there. */
async function secure(
  { request, limit }: DialContext,
  { conn, address }: Connected,
  { ca }: NonNullable<DialWish["tls"]>,
): Promise<Reached> {
  const secured = await secureConn(conn, { serverName: request.target.host.text, ...(ca && { ca }) }, limit);
  if (secured.ok) return succeed({ conn: secured.value, address });
  conn.reset();
  return { ...secured, address };
}

/** A connection that leads further, or the failure with the address that was reached before it. */
type Reached = { readonly ok: true; readonly value: Connected } | Omit<DialFailure, "decision">;
