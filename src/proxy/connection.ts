import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { readClaimedUser } from "./auth/claimed-user.ts";
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
import { inspectTunnel } from "./inspect/first-bytes-tap.ts";
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
 * rejects: a mistake of ours ends this connection, wherever it happens, and its
 * places are given back. Each request on a kept connection has an account of its own.
 */
export async function serveConnection(conn: Conn, from: Ip, doorway: Doorway, services: Services): Promise<void> {
  const { recorder, runtime, lingering, forwarding } = services;
  const places = new Places(services.admission, lingering);
  let session = openSession(runtime.current, shareAddress(from), conn.remotePort, doorway.name);
  recorder.opened(session);
  let client: Conn = conn;
  /** Whether the client may still be sending when its connection ends. */
  let listens = true;
  try {
    const welcomed = await welcome(session, conn, doorway, places, services);
    client = welcomed.conn;
    if (!welcomed.isIn) recorder.finished(session);
    let begun: Begun | undefined;
    for (let kept = welcomed.isIn; kept;) {
      try {
        const end = await (begun === undefined
          ? live(session, client, doorway, services, places)
          : carryOn(begun, client, services));
        if (end === "tunnel") {
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
      const next = await serveRepeats(session, client, services);
      kept = next.kind !== "gone";
      listens = kept;
      begun = next.kind === "begun" ? next.begun : undefined;
      if (kept) session = begun?.session ?? openNextSession(session, runtime.current);
    }
  } catch (error) {
    // Outside of a request: there is nobody to tell.
    services.reportBug(error, session.id);
    client.reset();
  }
  forwarding.bound.release(client);
  const last = session;
  lingering.close(client, last, listens && last.failure?.detail !== "client_gone", () => {
    places.leave(last.client);
    recorder.closed(last);
  });
}

/** Whether bytes of an answer may have been sent. */
function isAnswering({ stage }: Session): boolean {
  return stage === "forward" || stage === "respond" || stage === "tunnel";
}

/**
 * The life of a request, and of a connection that becomes a tunnel. Read down:
 * each stage yields a value, or the failure that ends the story and is told to
 * the client. A stage that has its answer at hand gives it at once, and only
 * one that has to wait gives a promise. `kept` when another request may follow,
 * `silent` when there was none.
 */
async function live(
  session: Session,
  client: Conn,
  doorway: Doorway,
  services: Services,
  places: Places,
): Promise<Failure | "kept" | "ended" | "tunnel" | "silent"> {
  enterStage(session, "handshake");
  const hello = await readHello(session, client, doorway.protocols);
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
    openTunnel(session, client, target, tap, places, services);
  } catch (error) {
    target.reset();
    throw error;
  }
  return "tunnel";
}
