import type { Conn } from "../../net/conn/conn.ts";
import type { Places } from "../listen/places.ts";
import type { Services } from "../services.ts";
import type { Session } from "../session.ts";
import type { TunnelTap } from "./tunnel-tap.ts";
import type { TunnelOwner, TunnelResult } from "./tunnel.ts";

/** Opens the tunnel of a session, and sees to it that its end is written down and its places are given back. */
export function openTunnel(
  session: Session,
  client: Conn,
  target: Conn,
  tap: TunnelTap | undefined,
  places: Places,
  services: Services,
): void {
  const tunnel = services.tunnel(client, target, {
    idleMs: session.runtime.timeouts.idleMs,
    owner: new OpenTunnel(session, tap && client, places, services),
    tap,
    witnesses: services.captures.witnesses(session),
  });
  services.recorder.tunnelOpened(session, tunnel);
}

/** All that is kept of the story before a tunnel, which may be idle for days. */
class OpenTunnel implements TunnelOwner {
  readonly #session: Session;
  /** Of a tunnel that may be refused after it was opened. */
  readonly #client: Conn | undefined;
  readonly #places: Places;
  readonly #services: Services;

  constructor(session: Session, client: Conn | undefined, places: Places, services: Services) {
    this.#session = session;
    this.#client = client;
    this.#places = places;
    this.#services = services;
  }

  tunnelOver(result: TunnelResult): void {
    this.#session.tunnel = result;
    this.#services.recorder.finished(this.#session);
    const client = this.#client;
    // A client that was told why keeps its places until it is gone.
    if (result.end === "denied" && client?.closed === false) client.whenClosed = () => this.#leave();
    else this.#leave();
  }

  #leave(): void {
    this.#places.leave(this.#session.client);
    this.#services.recorder.closed(this.#session);
  }
}
