import { formatEndpoint } from "../../address/endpoint.ts";
import type { InsideProtocol } from "../tunnel/inside-demand.ts";
import { type DescribedTls, describeTls } from "../tunnel/inside-facts.ts";
import type { ClientProtocol, Session } from "../session.ts";
import type { Endable, RequestUnderWay } from "../exchange/forwarding.ts";
import type { Tunnel } from "../tunnel/tunnel.ts";
import { type CaptureFilter, matchesCapture } from "./capture-filter.ts";
import { formatAddress } from "./format-address.ts";

/** A tunnel or a forwarded request under way, as it was at the moment of asking. */
export interface Flow {
  readonly kind: "tunnel" | "request";
  readonly id: string;
  readonly listener: string;
  readonly client: string;
  readonly user?: string;
  readonly protocol?: ClientProtocol;
  /** Of a forwarded request. */
  readonly method?: string;
  readonly scheme?: "http" | "https";
  readonly target?: string;
  readonly dialled?: string;
  readonly rule?: string;
  readonly route?: string;
  /** What is spoken inside, and what its TLS handshake showed. */
  readonly inside?: InsideProtocol;
  readonly tls?: DescribedTls;
  /** When the client connected or its request began, ISO 8601 in UTC. */
  readonly startedAt: string;
  /** Milliseconds since the tunnel opened, or the request was sent on. */
  readonly ageMs: number;
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** Which of them are meant: what is absent does not matter. */
export interface FlowFilter extends CaptureFilter {
  /** Canonical address of the client. */
  readonly client?: string;
  readonly rule?: string;
  /** The name of the route: `direct`, or upstreams. */
  readonly route?: string;
}

/** The tunnels and the forwarded requests under way. */
export class LiveTable {
  readonly #tunnels = new Map<Session, Tunnel>();
  readonly #requests: Iterable<Endable>;

  /** `requests` are kept by others, and looked at when somebody asks. */
  constructor(requests: Iterable<Endable> = []) {
    this.#requests = requests;
  }

  /** The number of tunnels. */
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

  /**
   * Snapshots of those that match, tunnels first, then requests, each the oldest
   * first. `now` is the monotonic clock of `enterStage`, in milliseconds.
   */
  list(now: number, filter: FlowFilter = {}): Flow[] {
    const tunnels = this.#findTunnels(filter).map(([session, tunnel]) =>
      describeFlow("tunnel", { session, ...tunnel.bytes() }, now),
    );
    const requests = this.#findRequests(filter).map(({ look }) => describeFlow("request", look, now));
    return [...tunnels, ...requests];
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

  /** Ends those that match at once, and gives their number. */
  kill(filter: FlowFilter): number {
    const tunnels = this.#findTunnels(filter);
    const requests = this.#findRequests(filter);
    for (const [, tunnel] of tunnels) tunnel.kill("killed");
    for (const { request } of requests) request.abort({ detail: "killed" });
    return tunnels.length + requests.length;
  }

  /** Ends every tunnel at once, because the time for shutting down ran out. Gives their number. */
  killAll(): number {
    const tunnels = [...this.#tunnels.values()];
    for (const tunnel of tunnels) tunnel.kill("drained");
    return tunnels.length;
  }

  #findTunnels(filter: FlowFilter): [Session, Tunnel][] {
    return [...this.#tunnels].filter(([session]) => matchesFlow(filter, session));
  }

  #findRequests(filter: FlowFilter): { request: Endable; look: RequestUnderWay }[] {
    return [...this.#requests].flatMap((request) => {
      const look = request.look();
      return look !== undefined && matchesFlow(filter, look.session) ? [{ request, look }] : [];
    });
  }
}

function matchesFlow(filter: FlowFilter, session: Session): boolean {
  return (
    matchesCapture(filter, session) &&
    (filter.client === undefined || filter.client === session.client.text) &&
    (filter.rule === undefined || filter.rule === session.decision?.rule) &&
    (filter.route === undefined || filter.route === session.route?.name)
  );
}

function describeFlow(kind: Flow["kind"], { session, up, down }: RequestUnderWay, now: number): Flow {
  return {
    kind,
    id: session.id,
    listener: session.listener,
    client: formatAddress({ ip: session.client, port: session.clientPort }),
    ...(session.user === undefined ? {} : { user: session.user }),
    ...(session.protocol === undefined ? {} : { protocol: session.protocol }),
    ...(kind === "tunnel" || session.method === undefined ? {} : { method: session.method }),
    ...(kind === "tunnel" || session.scheme === undefined ? {} : { scheme: session.scheme }),
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
