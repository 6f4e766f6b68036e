import type { Conn } from "../net/conn/conn.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import type { Listener } from "./accept/accept.ts";
import { identify } from "./auth/identify.ts";
import { dial } from "./dial/dial.ts";
import type { ForwardEnd, ForwardTask } from "./exchange/forward.ts";
import type { Failure } from "./failure.ts";
import { authorize } from "./policy/authorize.ts";
import { readHello, takeHead } from "./read/first-message.ts";
import { readCredentials } from "./read/read-credentials.ts";
import { readRequest } from "./read/read-request.ts";
import { refuse, respondEstablished } from "./read/respond.ts";
import { chooseRoute } from "./route/choose-route.ts";
import type { Services } from "./services.ts";
import { enterStage, noteDial, type Session } from "./session.ts";
import { inspectTunnel } from "./tunnel/first-bytes-tap.ts";
import { judgeForwarding } from "./tunnel/judge-inside.ts";
import type { TunnelOwner } from "./tunnel/tunnel.ts";

/** The connection that a request came on, as far as the request needs it. */
export interface RequestConnection extends TunnelOwner {
  readonly listener: Listener;
  readonly services: Services;
  /** The connection that was dialled for this request. It is reset with the request unless a tunnel has taken it. */
  target: Conn | undefined;
  /** Takes a slot for the user of a request, or says why there is none. */
  takeUserSlot(session: Session): Failure | undefined;
  /** Carries out a request that is to be forwarded. */
  forward(task: Pick<ForwardTask, "session" | "request" | "authorized" | "route">): Promise<ForwardEnd>;
}

/**
 * How a request ended. `kept`: another one may follow. `closed`: the client's
 * connection is still to be closed. `silent`: there was no request, and the
 * client is not there any more. `tunnel`: both connections belong to a tunnel.
 */
export type RequestEnd = "kept" | "closed" | "silent" | "tunnel";

/** Serves one request, from reading it to the last byte of its answer. `head` is that of the request, when it was read already. */
export async function serveRequest(
  session: Session,
  client: Conn,
  connection: RequestConnection,
  head: RequestHead | undefined,
): Promise<RequestEnd> {
  return conclude(session, client, connection, await carryOut(session, client, connection, head));
}

/** Serves a request that a plan has carried out up to here. */
export async function concludePlanned(
  session: Session,
  client: Conn,
  connection: RequestConnection,
  finish: () => Promise<ForwardEnd>,
): Promise<RequestEnd> {
  const end = await finish();
  if (end.kind === "switched") throw new Error("A plan holds for a request that asks for another protocol");
  return conclude(session, client, connection, judgeForwarded(end));
}

/** Tells the client of a failure. */
async function conclude(
  session: Session,
  client: Conn,
  { services }: RequestConnection,
  end: Failure | RequestEnd,
): Promise<RequestEnd> {
  if (typeof end !== "object") return end;
  return (await refuse(session, client, end, services.draining)) ? "kept" : "closed";
}

/** Fails a request because of a mistake of ours. Nobody knows what of an answer was sent already, once that has begun. */
export async function failRequest(session: Session, client: Conn): Promise<void> {
  if (session.stage === "forward" || session.stage === "respond" || session.stage === "tunnel") client.reset();
  await refuse(session, client, { detail: "internal_error" }, true);
}

/**
 * The stages of a request, in order. Each gives a value, or the failure that ends
 * the request. A stage that has its answer at hand gives it at once; only one
 * that has to wait gives a promise.
 */
async function carryOut(
  session: Session,
  client: Conn,
  connection: RequestConnection,
  head: RequestHead | undefined,
): Promise<Failure | RequestEnd> {
  const { listener, services } = connection;
  enterStage(session, "handshake");
  const first = head === undefined ? await readHello(session, client, listener.protocols) : takeHead(session, head);
  if (first === "silent") return "silent";
  if (!first.ok) return first.failure;

  enterStage(session, "authenticate");
  const presented = await readCredentials(session, client, first.value);
  if (!presented.ok) return presented.failure;
  const user = await identify(session, client, presented.value, services);
  session.user = user.ok ? user.value : user.claimed;
  if (!user.ok) return user.failure;
  const crowded = connection.takeUserSlot(session);
  if (crowded !== undefined) return crowded;

  enterStage(session, "request");
  const request = await readRequest(session, client, first.value);
  if (!request.ok) return request.failure;
  if (services.draining) return { detail: "draining" };

  enterStage(session, "decide");
  const authorized = await authorize(session, request.value.target, services, client);
  const { decision, foundName } = authorized.ok ? authorized.value : authorized;
  session.decision = decision;
  session.foundName = foundName;
  if (!authorized.ok) return authorized.failure;
  const unfit = request.value.kind === "forward" ? judgeForwarding(authorized.value.decision) : undefined;
  if (unfit !== undefined) return unfit;

  enterStage(session, "route");
  const route = chooseRoute(session, authorized.value.decision);
  if (!route.ok) return route.failure;
  session.route = route.value;

  if (request.value.kind === "forward") {
    const task = { session, request: request.value, authorized: authorized.value, route: route.value };
    const end = await connection.forward(task);
    if (end.kind !== "switched") return judgeForwarded(end);
    session.requestHead = undefined;
    connection.target = end.conn;
    enterStage(session, "tunnel");
    return openTunnel(session, client, end.conn, connection);
  }

  enterStage(session, "dial");
  const { target } = request.value;
  const dialled = await dial(
    { requester: session, client, target, route: route.value, grant: authorized.value },
    services,
  );
  noteDial(session, dialled);
  if (!dialled.ok) return dialled.failure;
  connection.target = dialled.value.conn;
  if (client.closed) return { detail: "client_gone" };

  enterStage(session, "respond");
  const told = respondEstablished(session, client);
  if (told !== true && !(await told)) return { detail: "client_gone" };

  enterStage(session, "tunnel");
  return openTunnel(session, client, dialled.value.conn, connection);
}

/** What follows a forwarded request after which nothing else is spoken. */
function judgeForwarded(end: Exclude<ForwardEnd, { kind: "switched" }>): Failure | RequestEnd {
  return end.kind === "failed" ? end.failure : end.kind;
}

/** Opens the tunnel of a request; `owner` is told of its end. */
function openTunnel(session: Session, client: Conn, target: Conn, owner: RequestConnection): "tunnel" {
  const { services } = owner;
  const tunnel = services.tunnel(client, target, {
    idleMs: session.runtime.timeouts.idleMs,
    owner,
    tap: session.scheme === undefined ? inspectTunnel(session, services.clientProfiles) : undefined,
    observers: services.captures.observers(session),
  });
  owner.target = undefined;
  services.recorder.tunnelOpened(session, tunnel);
  return "tunnel";
}
