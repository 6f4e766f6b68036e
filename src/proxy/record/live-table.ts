import { formatEndpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import type { InsideProtocol } from "../inspect/inside-demand.ts";
import { type DescribedTls, describeTls } from "../inspect/inside-facts.ts";
import type { ClientProtocol, Session } from "../session.ts";
import type { Tunnel } from "../tunnel/tunnel.ts";

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

interface Entry {
  readonly session: Session;
  readonly tunnel: Tunnel;
  /** Monotonic milliseconds. */
  readonly openedAt: number;
}

/** The tunnels under way, by the id of their connection. */
export class LiveTable {
  readonly #entries = new Map<string, Entry>();

  get size(): number {
    return this.#entries.size;
  }

  /** `now` is a monotonic clock in milliseconds, here and in `list`. */
  add(session: Session, tunnel: Tunnel, now: number): void {
    this.#entries.set(session.id, { session, tunnel, openedAt: now });
  }

  /** Forgets a tunnel that is over, and gives it back for its last figures. */
  remove(id: string): Tunnel | undefined {
    const entry = this.#entries.get(id);
    this.#entries.delete(id);
    return entry?.tunnel;
  }

  /** Calls `visit` with every tunnel under way. */
  visit(visit: (session: Session, tunnel: Tunnel) => void): void {
    for (const { session, tunnel } of this.#entries.values()) visit(session, tunnel);
  }

  /** Snapshots of all tunnels, the oldest first. */
  list(now: number): LiveTunnel[] {
    return Array.from(this.#entries.values(), (entry) => snapshot(entry, now));
  }

  /** Payload bytes that the tunnels under way have moved. */
  bytes(): { up: number; down: number } {
    const sum = { up: 0, down: 0 };
    for (const { tunnel } of this.#entries.values()) {
      const { up, down } = tunnel.bytes();
      sum.up += up;
      sum.down += down;
    }
    return sum;
  }

  /** Ends one tunnel at once; false when there is none of that id. */
  kill(id: string): boolean {
    const entry = this.#entries.get(id);
    entry?.tunnel.kill("killed");
    return entry !== undefined;
  }

  /** Ends every tunnel at once, because the time for shutting down ran out. Gives their number. */
  killAll(): number {
    const entries = [...this.#entries.values()];
    for (const { tunnel } of entries) tunnel.kill("drained");
    return entries.length;
  }
}

function snapshot({ session, tunnel, openedAt }: Entry, now: number): LiveTunnel {
  const { up, down } = tunnel.bytes();
  return {
    id: session.id,
    listener: session.listener,
    client: formatEndpoint({ host: hostFromIp(session.client), port: session.clientPort }),
    ...(session.user === undefined ? {} : { user: session.user }),
    ...(session.protocol === undefined ? {} : { protocol: session.protocol }),
    ...(session.target === undefined ? {} : { target: formatEndpoint(session.target) }),
    ...(session.dialled === undefined ? {} : { dialled: session.dialled }),
    ...(session.decision === undefined ? {} : { rule: session.decision.rule }),
    ...(session.route === undefined ? {} : { route: session.route.name }),
    ...(session.inside?.protocol === undefined ? {} : { inside: session.inside.protocol }),
    ...(session.inside?.tls === undefined ? {} : { tls: describeTls(session.inside.tls) }),
    startedAt: new Date(session.startedAt).toISOString(),
    ageMs: Math.max(0, Math.round(now - openedAt)),
    bytesUp: up,
    bytesDown: down,
  };
}
