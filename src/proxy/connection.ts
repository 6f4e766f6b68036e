import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import { readClaimedUser } from "./auth/claimed-user.ts";
import { identify } from "./auth/identify.ts";
import { dial } from "./dial/dial.ts";
import type { Failure } from "./failure.ts";
import { ClientRequests, type Next } from "./exchange/client-requests.ts";
import type { ForwardEnd } from "./exchange/forward.ts";
import { readHello, takeHead } from "./read/first-message.ts";
import { readCredentials } from "./read/read-credentials.ts";
import { readRequest } from "./read/read-request.ts";
import type { Listener } from "./accept/enter.ts";
import { inspectTunnel } from "./tunnel/first-bytes-tap.ts";
import { judgeForwarding } from "./tunnel/judge-inside.ts";
import { ConnectionSlots } from "./limit/connection-slots.ts";
import { shareAddress } from "./accept/share-address.ts";
import { welcome } from "./accept/welcome.ts";
import { openTunnel } from "./tunnel/open-tunnel.ts";
import { authorize } from "./policy/authorize.ts";
import { TOTAL_MS } from "./read/close-lingering.ts";
import { refuse, respondEstablished } from "./read/respond.ts";
import { chooseRoute } from "./route/choose-route.ts";
import type { Services } from "./services.ts";
import { enterStage, openNextSession, openSession, type Session } from "./session.ts";

/**
 * Serves one accepted connection from its first byte to its record. Never
 * rejects: a mistake of ours ends this connection, wherever it happens, and its
 * slots are given back. Each request on a kept connection has an account of its own.
 */
export async function serveConnection(conn: Conn, from: Ip, listener: Listener, services: Services): Promise<void> {
  const { recorder, runtime, lingering, forwarding } = services;
  const slots = new ConnectionSlots(services.admission, lingering);
  let session = openSession(runtime.current, shareAddress(from), conn.remotePort, listener.name);
  recorder.opened(session);
  let client: Conn = conn;
  /** Whether the client may still be sending when its connection ends. */
  let listens = true;
  let requests: ClientRequests | undefined;
  try {
    const welcomed = await welcome(session, conn, listener, slots, services);
    client = welcomed.conn;
    if (!welcomed.isIn) recorder.finished(session);
    requests = new ClientRequests(client, services);
    let next: Next | undefined;
    for (let kept = welcomed.isIn; kept;) {
      try {
        const end =
          next?.kind === "planned"
            ? judgeForwarded(await next.conclude())
            : await live(session, { client, listener, services, slots, requests }, next?.head);
        if (end === "tunnel") {
          requests.release();
          forwarding.bound.release(client);
          return;
        }
        if (end === "silent") listens = false;
        kept = typeof end === "object" ? await refuse(session, client, end, services.draining) : end === "kept";
      } catch (error) {
        services.reportBug(error, session.id);
        kept = false;
        // Nobody knows what of an answer was sent already.
        if (isAnswering(session)) client.reset();
        await refuse(session, client, { detail: "internal_error" }, true);
      }
      recorder.finished(session);
      if (!kept) break;
      next = await requests.next(session);
      kept = next.kind !== "gone";
      listens = kept;
      if (kept) session = next.kind === "planned" ? next.session : openNextSession(session, runtime.current);
    }
  } catch (error) {
    // Outside of a request: there is nobody to tell.
    services.reportBug(error, session.id);
    client.reset();
  }
  requests?.release();
  forwarding.bound.release(client);
  const last = session;
  lingering.close(client, last, listens ? grantSending(last.failure) : 0, () => {
    slots.leave(last.client);
    recorder.closed(last);
  });
}

/** A client whose time is over does not get it anew by sending on: milliseconds, enough for the 408 to arrive. */
const LATE_MS = 2000;

/** How long a client may go on sending after its last answer, in milliseconds. */
function grantSending(failure: Failure | undefined): number {
  switch (failure?.detail) {
    case "client_gone":
      return 0;
    case "handshake_timeout":
      return LATE_MS;
    default:
      return TOTAL_MS;
  }
}

/** What follows a forwarded request after which nothing else is spoken. */
function judgeForwarded(end: ForwardEnd): Failure | "kept" | "ended" {
  if (end.kind === "failed") return end.failure;
  if (end.kind === "switched") throw new Error("A plan holds for a request that asks for another protocol");
  return end.kind === "kept" ? "kept" : "ended";
}

/** Whether bytes of an answer may have been sent. */
function isAnswering({ stage }: Session): boolean {
  return stage === "forward" || stage === "respond" || stage === "tunnel";
}

/** What the requests of one connection have in common. */
interface ClientConnection {
  readonly client: Conn;
  readonly listener: Listener;
  readonly services: Services;
  readonly slots: ConnectionSlots;
  readonly requests: ClientRequests;
}

/**
 * The life of a request, and of a connection that becomes a tunnel. Read down:
 * each stage yields a value, or the failure that ends the story and is told to
 * the client. A stage that has its answer at hand gives it at once, and only
 * one that has to wait gives a promise. `kept` when another request may follow,
 * `silent` when there was none. `head` is that of the request, when it was read already.
 */
async function live(
  session: Session,
  { client, listener, services, slots, requests }: ClientConnection,
  head: RequestHead | undefined,
): Promise<Failure | "kept" | "ended" | "tunnel" | "silent"> {
  enterStage(session, "handshake");
  const hello = head === undefined ? await readHello(session, client, listener.protocols) : takeHead(session, head);
  if (hello === "silent") return "silent";
  if (!hello.ok) return hello.failure;

  enterStage(session, "authenticate");
  const presented = await readCredentials(session, client, hello.value);
  if (!presented.ok) return presented.failure;
  const user = await identify(session, client, presented.value, services);
  if (!user.ok) {
    // Who guesses passwords, and whose: the record is the place to see it.
    if (user.failure.detail === "credentials_wrong") session.user = readClaimedUser(presented.value);
    return user.failure;
  }
  const crowded = slots.takeForUser(session);
  if (crowded !== undefined) return crowded;

  enterStage(session, "request");
  const request = await readRequest(session, client, hello.value);
  if (!request.ok) return request.failure;
  if (services.draining) return { detail: "draining" };

  enterStage(session, "decide");
  const authorized = await authorize(session, request.value.target, services, client);
  if (!authorized.ok) return authorized.failure;
  const unfit = request.value.kind === "forward" ? judgeForwarding(authorized.value.decision) : undefined;
  if (unfit !== undefined) return unfit;

  enterStage(session, "route");
  const route = chooseRoute(session, authorized.value);
  if (!route.ok) return route.failure;

  let target: Conn;
  if (request.value.kind === "forward") {
    const task = { session, request: request.value, authorized: authorized.value, route: route.value };
    const end = await requests.forward(task);
    if (end.kind !== "switched") return judgeForwarded(end);
    session.requestHead = undefined;
    target = end.conn;
  } else {
    enterStage(session, "dial");
    const dialled = await dial(session, client, route.value, authorized.value, services);
    if (!dialled.ok) return dialled.failure;
    target = dialled.value.conn;
    if (client.closed) {
      target.reset();
      return { detail: "client_gone" };
    }
  }
  try {
    if (request.value.kind === "tunnel") {
      enterStage(session, "respond");
      const told = respondEstablished(session, client);
      if (told !== true && !(await told)) {
        target.reset();
        return { detail: "client_gone" };
      }
    }
    enterStage(session, "tunnel");
    const tap = request.value.kind === "tunnel" ? inspectTunnel(session, services.clientProfiles) : undefined;
    openTunnel(session, client, target, tap, slots, services);
  } catch (error) {
    target.reset();
    throw error;
  }
  return "tunnel";
}
