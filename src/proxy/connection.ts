import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn.ts";
import { identify } from "./auth/identify.ts";
import { dial } from "./dial/dial.ts";
import type { Failure } from "./failure.ts";
import { readHello } from "./handshake/hello.ts";
import { readCredentials } from "./handshake/read-credentials.ts";
import { readRequest } from "./handshake/read-request.ts";
import { authorize } from "./policy/authorize.ts";
import { refuse, respondEstablished } from "./respond/respond.ts";
import { chooseRoute } from "./route/choose-route.ts";
import type { Services } from "./services.ts";
import { enterStage, openSession, type Session } from "./session.ts";

/** Serves one accepted connection from its first byte to its record. Never rejects. */
export async function serveConnection(client: Conn, from: Ip, listener: string, services: Services): Promise<void> {
  const session = openSession({
    runtime: services.runtime.current,
    client: from,
    clientPort: client.remotePort,
    listener,
  });
  const slots: (() => void)[] = [];
  services.recorder.opened(session);
  try {
    const failure = await live(session, client, services, slots);
    if (failure !== undefined) refuse(session, client, failure);
  } catch (error) {
    services.reportBug(error, session.id);
    refuse(session, client, { detail: "internal_error" });
  } finally {
    for (const leave of slots) leave();
    services.recorder.closed(session);
  }
}

/**
 * The life of a connection. Read down: each stage yields a value, or the
 * failure that ends the story and is told to the client.
 */
async function live(
  session: Session,
  client: Conn,
  services: Services,
  slots: (() => void)[],
): Promise<Failure | undefined> {
  const place = services.admission.admitClient(session.client, session.runtime);
  if (!place.ok) return place.failure;
  slots.push(place.value);

  enterStage(session, "handshake");
  const hello = await readHello(session, client);
  if (!hello.ok) return hello.failure;

  enterStage(session, "authenticate");
  const presented = await readCredentials(session, client, hello.value);
  if (!presented.ok) return presented.failure;
  const user = await identify(session, presented.value);
  if (!user.ok) return user.failure;
  const userPlace = services.admission.admitUser(user.value, session.runtime);
  if (!userPlace.ok) return userPlace.failure;
  slots.push(userPlace.value);

  enterStage(session, "request");
  const request = await readRequest(session, client, hello.value);
  if (!request.ok) return request.failure;
  if (services.draining) return { detail: "draining" };

  enterStage(session, "decide");
  const authorized = await authorize(session, request.value.target, services);
  if (!authorized.ok) return authorized.failure;

  enterStage(session, "route");
  const route = chooseRoute(session, authorized.value);
  if (!route.ok) return route.failure;

  enterStage(session, "dial");
  const dialled = await dial(session, client, route.value, authorized.value, services);
  if (!dialled.ok) return dialled.failure;

  enterStage(session, "respond");
  respondEstablished(session, client);

  enterStage(session, "tunnel");
  const tunnel = services.tunnel(client, dialled.value.conn, { idleMs: session.runtime.timeouts.idleMs });
  services.recorder.tunnelOpened(session, tunnel);
  session.tunnel = await tunnel.done;
  return undefined;
}
