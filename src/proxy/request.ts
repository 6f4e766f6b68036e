import type { Conn } from "../net/conn/conn.ts";
import type { ClientProfiles } from "../protocol/tls/read/client-profiles.ts";
import { frameRequest } from "../protocol/http1/message-framing.ts";
import { allowsNextRequest } from "../protocol/http1/persistence.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import type { Listener } from "./accept/listener-tls.ts";
import { identify, type IdentifyServices, type ShownCertificate } from "./auth/identify.ts";
import { dial, type DialServices } from "./dial/dial.ts";
import type { ForwardEnd, ForwardTask } from "./exchange/forward.ts";
import { describeFailure, type Failure } from "./failure.ts";
import { authorize, type AuthorizeServices } from "./decide/authorize.ts";
import { type FirstMessageRead, readFirstMessage } from "./read/first-message.ts";
import { readCredentials } from "./read/read-credentials.ts";
import { readRequest } from "./read/read-request.ts";
import type { Captures } from "./record/captures.ts";
import type { Recorder } from "./record/recorder.ts";
import { httpReply, type Reply, socks4Reply } from "./read/reply.ts";
import { Socks5Handshake } from "./read/socks5-handshake.ts";
import type { ConnectTargets } from "./read/tunnel-request.ts";
import { writeWhole } from "./read/write-whole.ts";
import { chooseRoute } from "./route/choose-route.ts";
import type { RequestRecord } from "./record/request-record.ts";
import { inspectTunnel } from "./tunnel/first-bytes-tap.ts";
import { judgeForwarding } from "./tunnel/judge-inside.ts";
import type { TunnelEngine, TunnelOwner, TunnelResult } from "./tunnel/tunnel.ts";

/** What requests share. */
export interface RequestServices extends IdentifyServices, AuthorizeServices, DialServices {
  readonly tunnel: TunnelEngine;
  readonly recorder: Pick<Recorder, "tunnelOpened">;
  readonly targets: ConnectTargets;
  readonly captures: Pick<Captures, "observers">;
  /** Fingerprints of the clients whose TLS handshakes passed. */
  readonly clientProfiles: ClientProfiles;
  /** The proxy shuts down: there are no new requests. */
  readonly draining: boolean;
}

/** The connection that a request came on, as far as the request needs it. */
export interface RequestConnection extends TunnelOwner {
  readonly listener: Listener;
  readonly services: RequestServices;
  readonly certificate: ShownCertificate | undefined;
  /** How the client is answered; as an HTTP client until its protocol is known. */
  reply: Reply;
  /** The connection that was dialled for this request. It is reset with the request unless a tunnel has taken it. */
  target: Conn | undefined;
  /** Takes a slot for the user of a request, or says why there is none. */
  takeUserSlot(record: RequestRecord): Failure | undefined;
  /** Carries out a request that is to be forwarded. */
  forward(task: Pick<ForwardTask, "record" | "request" | "authorized" | "route">): Promise<ForwardEnd>;
}

/**
 * How a request ended. `kept`: another one may follow. `closed`: the client's
 * connection is still to be closed. `silent`: there was no request, and the
 * client is not there any more. `tunnel`: both connections belong to a tunnel.
 */
export type RequestEnd = "kept" | "closed" | "silent" | "tunnel";

/** Serves one request, from reading it to the last byte of its answer. `head` is that of the request, when it was read already. */
export async function serveRequest(
  record: RequestRecord,
  client: Conn,
  connection: RequestConnection,
  head: RequestHead | undefined,
): Promise<RequestEnd> {
  return conclude(record, client, connection, await carryOut(record, client, connection, head));
}

/** Serves a request that a plan has carried out up to here. */
export async function concludePlanned(
  record: RequestRecord,
  client: Conn,
  connection: RequestConnection,
  finish: () => Promise<ForwardEnd>,
): Promise<RequestEnd> {
  const end = await finish();
  if (end.kind === "switched") throw new Error("A plan holds for a request that asks for another protocol");
  return conclude(record, client, connection, judgeForwarded(end));
}

/** Tells the client of a failure. */
async function conclude(
  record: RequestRecord,
  client: Conn,
  { reply, services }: RequestConnection,
  end: Failure | RequestEnd,
): Promise<RequestEnd> {
  if (typeof end !== "object") return end;
  return (await refuse(record, client, reply, end, services.draining)) ? "kept" : "closed";
}

/** Fails a request because of a mistake of ours. Nobody knows what of an answer was sent already, once that has begun. */
export async function failRequest(record: RequestRecord, client: Conn, reply: Reply): Promise<void> {
  if (record.stage === "forward" || record.stage === "respond" || record.stage === "tunnel") client.reset();
  await refuse(record, client, reply, { detail: "internal_error" }, true);
}

/**
 * Tells the client why not. Gives whether the connection is kept: after a whole
 * request to forward that was understood, unless `ending`. Else it is still to be
 * closed.
 */
export function refuse(
  record: RequestRecord,
  client: Conn,
  reply: Reply,
  failure: Failure,
  ending: boolean,
): boolean | Promise<boolean> {
  record.failure = failure;
  record.closeStage();
  if (client.closed || failure.detail === "client_gone") {
    client.close();
    return false;
  }
  const { status, word } = describeFailure(failure.detail);
  // A new certificate takes a new connection.
  const isLast = word === "http_request_error" || failure.detail === "certificate_required";
  const keeps = !ending && !isLast && isReadWhole(record.requestHead);
  record.status = status;
  const { id, runtime, decision, method } = record;
  const refusal = reply.formatRefusal({ failure, runtime, id, rule: decision?.rule, method, keeps });
  const told = writeWhole(client, refusal, runtime.timeouts.idleMs);
  return told instanceof Promise ? told.then((whole) => whole && keeps) : told && keeps;
}

/** Whether nothing of a request is left unread, and the client's connection can carry another one. */
function isReadWhole(head: RequestHead | undefined): boolean {
  return head !== undefined && frameRequest(head).kind === "none" && allowsNextRequest(head);
}

/** Notes how the tunnel of a request ended. */
export function noteTunnelEnd(record: RequestRecord, result: TunnelResult): void {
  record.tunnel = result;
}

/**
 * The stages of a request, in order. Each gives a value, or the failure that ends
 * the request. A stage that has its answer at hand gives it at once; only one
 * that has to wait gives a promise.
 */
async function carryOut(
  record: RequestRecord,
  client: Conn,
  connection: RequestConnection,
  head: RequestHead | undefined,
): Promise<Failure | RequestEnd> {
  const { listener, services } = connection;
  const { runtime, handshakeEndsAt: endsAt } = record;
  record.enter("handshake");
  const first =
    head === undefined
      ? await readFirstMessage(client, { protocols: listener.protocols, head: runtime.limits.head, endsAt })
      : ({ ok: true, value: { protocol: "http", head } } as const);
  connection.reply = noteFirstMessage(record, first);
  if (!first.ok) return first.failure;

  record.enter("authenticate");
  const required = runtime.authenticator.required && connection.certificate === undefined;
  const presented = await readCredentials(first.value, client, { required, endsAt });
  if (!presented.ok) return presented.failure;
  const user = await identify(record, client, presented.value, services);
  record.user = user.ok ? user.value : user.claimed;
  if (!user.ok) return user.failure;
  const crowded = connection.takeUserSlot(record);
  if (crowded !== undefined) return crowded;

  record.enter("request");
  const request = await readRequest(first.value, client, services.targets, endsAt);
  if (request.command !== undefined) record.method = request.command.toUpperCase();
  if (!request.ok) return request.failure;
  record.target = request.value.target;
  if (request.value.kind === "forward") record.scheme = request.value.scheme;
  if (services.draining) return { detail: "draining" };

  record.enter("decide");
  const authorized = await authorize(record, request.value.target, services, client);
  const { decision, foundName } = authorized.ok ? authorized.value : authorized;
  record.decision = decision;
  record.foundName = foundName;
  if (!authorized.ok) return authorized.failure;
  const unfit = request.value.kind === "forward" ? judgeForwarding(authorized.value.decision) : undefined;
  if (unfit !== undefined) return unfit;

  record.enter("route");
  const route = chooseRoute(record, authorized.value.decision);
  if (!route.ok) return route.failure;
  record.route = route.value;

  if (request.value.kind === "forward") {
    const task = { record, request: request.value, authorized: authorized.value, route: route.value };
    const end = await connection.forward(task);
    if (end.kind !== "switched") return judgeForwarded(end);
    record.requestHead = undefined;
    connection.target = end.conn;
    record.enter("tunnel");
    return openTunnel(record, client, end.conn, connection);
  }

  record.enter("dial");
  const { target } = request.value;
  const dialled = await dial(
    { requester: record, client, target, route: route.value, grant: authorized.value },
    services,
  );
  record.noteDial(dialled);
  if (!dialled.ok) return dialled.failure;
  connection.target = dialled.value.conn;
  if (client.closed) return { detail: "client_gone" };

  record.enter("respond");
  record.status = 200;
  const established = connection.reply.formatEstablished(runtime);
  const told = writeWhole(client, established, runtime.timeouts.idleMs);
  if (told !== true && !(await told)) return { detail: "client_gone" };

  record.enter("tunnel");
  return openTunnel(record, client, dialled.value.conn, connection);
}

/** Notes what the client speaks and wants to be done. Gives how it is answered. */
function noteFirstMessage(record: RequestRecord, first: FirstMessageRead): Reply {
  const protocol = first.ok ? first.value.protocol : first.protocol;
  record.protocol = protocol;
  if (first.ok && first.value.protocol === "http") {
    const { head } = first.value;
    // Not the part of the head that says so: that would keep all of it in memory as long as the tunnel lives.
    record.method = head.method === "CONNECT" ? "CONNECT" : head.method;
    if (head.method !== "CONNECT") record.requestHead = head;
  }
  if (protocol === "socks4") return socks4Reply;
  if (protocol !== "socks5") return httpReply;
  return first.ok && first.value.protocol === "socks5" ? first.value.handshake : new Socks5Handshake(undefined);
}

/** What follows a forwarded request after which nothing else is spoken. */
function judgeForwarded(end: Exclude<ForwardEnd, { kind: "switched" }>): Failure | RequestEnd {
  return end.kind === "failed" ? end.failure : end.kind;
}

/** Opens the tunnel of a request; `owner` is told of its end. */
function openTunnel(record: RequestRecord, client: Conn, target: Conn, owner: RequestConnection): "tunnel" {
  const { services } = owner;
  const tunnel = services.tunnel(client, target, {
    idleMs: record.runtime.timeouts.idleMs,
    owner,
    tap: record.scheme === undefined ? inspectTunnel(record, services.clientProfiles) : undefined,
    observers: services.captures.observers(record),
  });
  owner.target = undefined;
  services.recorder.tunnelOpened(record, tunnel);
  return "tunnel";
}
