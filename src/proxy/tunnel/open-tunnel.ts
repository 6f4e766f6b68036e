import type { Conn } from "../../net/conn.ts";
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
    owner: new OpenTunnel(session, places, services),
    tap,
    witnesses: services.captures.witnesses(session),
  });
  services.recorder.tunnelOpened(session, tunnel);
}

/** All that is kept of the story before a tunnel, which may be idle for days. */
class OpenTunnel implements TunnelOwner {
  readonly #session: Session;
  readonly #places: Places;
  readonly #services: Services;

  constructor(session: Session, places: Places, services: Services) {
    this.#session = session;
    this.#places = places;
    this.#services = services;
  }

  tunnelOver(result: TunnelResult): void {
    const { recorder } = this.#services;
    this.#session.tunnel = result;
    recorder.finished(this.#session);
    this.#places.leave(this.#session.client);
    recorder.closed(this.#session);
  }
}
