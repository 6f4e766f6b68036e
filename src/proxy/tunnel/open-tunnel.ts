import type { Conn } from "../../net/conn/conn.ts";
import type { ConnectionSlots } from "../limit/connection-slots.ts";
import type { Services } from "../services.ts";
import type { Session } from "../session.ts";
import type { TunnelTap } from "../flow/tap.ts";
import type { TunnelOwner, TunnelResult } from "./tunnel.ts";

/** Opens the tunnel of a session, and sees to it that its end is written down and its slots are given back. */
export function openTunnel(
  session: Session,
  client: Conn,
  target: Conn,
  tap: TunnelTap | undefined,
  slots: ConnectionSlots,
  services: Services,
): void {
  const tunnel = services.tunnel(client, target, {
    idleMs: session.runtime.timeouts.idleMs,
    owner: new OpenTunnel(session, tap && client, slots, services),
    tap,
    observers: services.captures.observers(session),
  });
  services.recorder.tunnelOpened(session, tunnel);
}

/** All that is kept of the story before a tunnel, which may be idle for days. */
class OpenTunnel implements TunnelOwner {
  readonly #session: Session;
  /** Of a tunnel that may be refused after it was opened. */
  readonly #client: Conn | undefined;
  readonly #slots: ConnectionSlots;
  readonly #services: Services;

  constructor(session: Session, client: Conn | undefined, slots: ConnectionSlots, services: Services) {
    this.#session = session;
    this.#client = client;
    this.#slots = slots;
    this.#services = services;
  }

  tunnelOver(result: TunnelResult): void {
    this.#session.tunnel = result;
    this.#services.recorder.finished(this.#session);
    const client = this.#client;
    // A client that was told why keeps its slots until it is gone.
    if (result.end === "denied" && client?.closed === false) client.whenClosed = () => this.#leave();
    else this.#leave();
  }

  #leave(): void {
    this.#slots.leave(this.#session.client);
    this.#services.recorder.closed(this.#session);
  }
}
