import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn.ts";
import type { TcpConn } from "../net/tcp-conn.ts";
import { identify } from "./auth/identify.ts";
import { dial } from "./dial/dial.ts";
import type { Failure } from "./failure.ts";
import type { Begun } from "./forward/begun.ts";
import { carryOn } from "./forward/carry-on.ts";
import { forward } from "./forward/forward.ts";
import { serveRepeats } from "./forward/serve-repeats.ts";
import { readHello } from "./handshake/hello.ts";
import { readCredentials } from "./handshake/read-credentials.ts";
import { readRequest } from "./handshake/read-request.ts";
import type { Doorway } from "./listen/enter.ts";
import { inspectTunnel } from "./inspect/inspect-tunnel.ts";
import { judgeForwarding } from "./inspect/judge-inside.ts";
import { Places } from "./listen/places.ts";
import { shareAddress } from "./listen/share-address.ts";
import { welcome } from "./listen/welcome.ts";
import { openTunnel } from "./tunnel/open-tunnel.ts";
import { authorize } from "./policy/authorize.ts";
import { refuse, respondEstablished } from "./respond/respond.ts";
import { chooseRoute } from "./route/choose-route.ts";
import type { Services } from "./services.ts";
import { enterStage, openNextSession, openSession, type Session } from "./session.ts";

/**
 * Serves one accepted connection from its first byte to its record. Never
 * rejects. Each request on a kept connection has an account of its own.
 */
export async function serveConnection(conn: TcpConn, from: Ip, doorway: Doorway, services: Services): Promise<void> {
  const { recorder, runtime } = services;
  const places = new Places(services.admission);
  let session = openSession(runtime.current, shareAddress(from), conn.remotePort, doorway.name);
  recorder.opened(session);
  const client = await welcome(session, conn, doorway, places, services);
  if (client === undefined) recorder.finished(session);
  let begun: Begun | undefined;
  while (client !== undefined) {
    let kept: boolean;
    try {
      const end = await (begun === undefined
        ? live(session, client, doorway, services, places)
        : carryOn(begun, client, services));
      if (end === "tunnel") return;
      kept = typeof end === "object" ? refuse(session, client, end, services.draining) : end === "kept";
    } catch (error) {
      services.reportBug(error, session.id);
      kept = refuse(session, client, { detail: "internal_error" }, true);
    }
    recorder.finished(session);
    if (!kept) break;
    const next = await serveRepeats(session, client, services);
    if (next.kind === "gone") {
      client.close();
      break;
    }
    begun = next.kind === "begun" ? next.begun : undefined;
    session = begun?.session ?? openNextSession(session, runtime.current);
  }
  places.leave(session.client);
  recorder.closed(session);
}

/**
 * The life of a request, and of a connection that becomes a tunnel. Read down:
 * each stage yields a value, or the failure that ends the story and is told to
 * the client. A stage that has its answer at hand gives it at once, and only
 * one that has to wait gives a promise. `kept` when another request may follow.
 */
async function live(
  session: Session,
  client: Conn,
  doorway: Doorway,
  services: Services,
  places: Places,
): Promise<Failure | "kept" | "ended" | "tunnel"> {
  enterStage(session, "handshake");
  const hello = await readHello(session, client, doorway.protocols);
  if (!hello.ok) return hello.failure;

  enterStage(session, "authenticate");
  const presented = await readCredentials(session, client, hello.value);
  if (!presented.ok) return presented.failure;
  const user = await identify(session, presented.value, services);
  if (!user.ok) return user.failure;
  const crowded = places.takeForUser(session);
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
    const end = await forward(session, client, request.value, authorized.value, route.value, services);
    if (end.kind === "failed") return end.failure;
    if (end.kind !== "switched") return end.kind === "kept" ? "kept" : "ended";
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

    enterStage(session, "respond");
    respondEstablished(session, client);
  }

  enterStage(session, "tunnel");
  const tap = request.value.kind === "tunnel" ? inspectTunnel(session) : undefined;
  openTunnel(session, client, target, tap, places, services);
  return "tunnel";
}
