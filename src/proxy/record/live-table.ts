import { formatEndpoint } from "../../address/endpoint.ts";
import type { InsideProtocol } from "../inspect/inside-demand.ts";
import { type DescribedTls, describeTls } from "../inspect/inside-facts.ts";
import type { ClientProtocol, Session } from "../session.ts";
import type { Tunnel } from "../tunnel/tunnel.ts";
import { formatAddress } from "./format-address.ts";

/** A tunnel under way, as it was at the moment of asking. */
export interface LiveTunnel {
  readonly id: string;
  readonly listener: string;
  readonly client: string;
  readonly user?: string;
  readonly protocol?: ClientProtocol;
  readonly target?: string;
  readonly dialled?: string;
  readonly rule?: string;
  readonly route?: string;
  /** What is spoken inside, and what its TLS handshake showed. */
  readonly inside?: InsideProtocol;
  readonly tls?: DescribedTls;
  /** When the client connected, ISO 8601 in UTC. */
  readonly startedAt: string;
  /** Milliseconds since the tunnel opened. */
  readonly ageMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** The tunnels under way. */
export class LiveTable {
  readonly #tunnels = new Map<Session, Tunnel>();

  get size(): number {
    return this.#tunnels.size;
  }

  /** Takes a session that has just come to its tunnel. */
  add(session: Session, tunnel: Tunnel): void {
    this.#tunnels.set(session, tunnel);
  }

  /** Forgets a tunnel that is over, and gives it back for its last figures. */
  remove(session: Session): Tunnel | undefined {
    const tunnel = this.#tunnels.get(session);
    this.#tunnels.delete(session);
    return tunnel;
  }

  /** Calls `visit` with every tunnel under way. */
  visit(visit: (session: Session, tunnel: Tunnel) => void): void {
    for (const [session, tunnel] of this.#tunnels) visit(session, tunnel);
  }

  /** Snapshots of all tunnels, the oldest first. `now` is the monotonic clock of `enterStage`, in milliseconds. */
  list(now: number): LiveTunnel[] {
    return Array.from(this.#tunnels, ([session, tunnel]) => snapshot(session, tunnel, now));
  }

  /** Payload bytes that the tunnels under way have moved. */
  bytes(): { up: number; down: number } {
    const sum = { up: 0, down: 0 };
    for (const tunnel of this.#tunnels.values()) {
      const { up, down } = tunnel.bytes();
      sum.up += up;
      sum.down += down;
    }
    return sum;
  }

  /** Ends one tunnel at once; false when there is none of that id. */
  kill(id: string): boolean {
    for (const [session, tunnel] of this.#tunnels) {
      if (session.id !== id) continue;
      tunnel.kill("killed");
      return true;
    }
    return false;
  }

  /** Ends every tunnel at once, because the time for shutting down ran out. Gives their number. */
  killAll(): number {
    const tunnels = [...this.#tunnels.values()];
    for (const tunnel of tunnels) tunnel.kill("drained");
    return tunnels.length;
  }
}

function snapshot(session: Session, tunnel: Tunnel, now: number): LiveTunnel {
  const { up, down } = tunnel.bytes();
  return {
    id: session.id,
    listener: session.listener,
    client: formatAddress({ ip: session.client, port: session.clientPort }),
    ...(session.user === undefined ? {} : { user: session.user }),
    ...(session.protocol === undefined ? {} : { protocol: session.protocol }),
    ...(session.target === undefined ? {} : { target: formatEndpoint(session.target) }),
    ...(session.dialled === undefined ? {} : { dialled: formatAddress(session.dialled) }),
    ...(session.decision === undefined ? {} : { rule: session.decision.rule }),
    ...(session.route === undefined ? {} : { route: session.route.name }),
    ...(session.inside?.protocol === undefined ? {} : { inside: session.inside.protocol }),
    ...(session.inside?.tls === undefined ? {} : { tls: describeTls(session.inside.tls) }),
    startedAt: new Date(session.startedAt).toISOString(),
    ageMs: Math.max(0, Math.round(now - session.stageSince)),
    bytesUp: up,
    bytesDown: down,
  };
}
