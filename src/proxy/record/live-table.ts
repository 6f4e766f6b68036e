import { formatEndpoint } from "../../address/endpoint.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import type { InsideProtocol } from "../policy/inside-demand.ts";
import { type DescribedTls, describeTls } from "../tunnel/inside-facts.ts";
import type { ClientProtocol, RequestRecord } from "./request-record.ts";
import type { Endable, RequestUnderWay } from "../exchange/forwarding.ts";
import type { Tunnel } from "../flow/tunnel.ts";
import { type CaptureFilter, matchesCapture } from "./capture-filter.ts";
import { formatAddress } from "./access-record.ts";

/** A tunnel or a forwarded request under way, as it was at the moment of asking. */
export interface Flow {
  readonly kind: "tunnel" | "request";
  readonly id: string;
  readonly listener: string;
  readonly client: string;
  readonly user?: string;
  /** The parameters in the user name. */
  readonly parameters?: UserParameters;
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
  readonly #tunnels = new Map<RequestRecord, Tunnel>();
  readonly #requests: Iterable<Endable>;

  /** `requests` are kept by others, and looked at when somebody asks. */
  constructor(requests: Iterable<Endable> = []) {
    this.#requests = requests;
  }

  /** The number of tunnels. */
  get size(): number {
    return this.#tunnels.size;
  }

  /** Milliseconds since the oldest tunnel opened; undefined without a tunnel. */
  oldestAgeMs(now: number): number | undefined {
    // A map is in the order in which tunnels were added.
    const [oldest] = this.#tunnels.keys();
    return oldest && Math.max(0, now - oldest.stageSince);
  }

  /** Takes a record that has just come to its tunnel. */
  add(record: RequestRecord, tunnel: Tunnel): void {
    this.#tunnels.set(record, tunnel);
  }

  /** Forgets a tunnel that is over, and gives it back for its last figures. */
  remove(record: RequestRecord): Tunnel | undefined {
    const tunnel = this.#tunnels.get(record);
    this.#tunnels.delete(record);
    return tunnel;
  }

  /** Calls `visit` with every tunnel under way. */
  visit(visit: (record: RequestRecord, tunnel: Tunnel) => void): void {
    for (const [record, tunnel] of this.#tunnels) visit(record, tunnel);
  }

  /**
   * Snapshots of those that match, tunnels first, then requests, each the oldest
   * first. `now` is the monotonic clock of `enterStage`, in milliseconds.
   */
  list(now: number, filter: FlowFilter = {}): Flow[] {
    const tunnels = this.#findTunnels(filter).map(([record, tunnel]) =>
      describeFlow("tunnel", { record, ...tunnel.bytes() }, now),
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

  #findTunnels(filter: FlowFilter): [RequestRecord, Tunnel][] {
    return [...this.#tunnels].filter(([record]) => matchesFlow(filter, record));
  }

  #findRequests(filter: FlowFilter): { request: Endable; look: RequestUnderWay }[] {
    return [...this.#requests].flatMap((request) => {
      const look = request.look();
      return look !== undefined && matchesFlow(filter, look.record) ? [{ request, look }] : [];
    });
  }
}

function matchesFlow(filter: FlowFilter, record: RequestRecord): boolean {
  return (
    matchesCapture(filter, record) &&
    (filter.client === undefined || filter.client === record.client.text) &&
    (filter.rule === undefined || filter.rule === record.decision?.rule) &&
    (filter.route === undefined || filter.route === record.route?.name)
  );
}

function describeFlow(kind: Flow["kind"], { record, up, down }: RequestUnderWay, now: number): Flow {
  return {
    kind,
    id: record.id,
    listener: record.listener,
    client: formatAddress({ ip: record.client, port: record.clientPort }),
    ...(record.user === undefined ? {} : { user: record.user }),
    ...(record.parameters === undefined ? {} : { parameters: record.parameters }),
    ...(record.protocol === undefined ? {} : { protocol: record.protocol }),
    ...(kind === "tunnel" || record.method === undefined ? {} : { method: record.method }),
    ...(kind === "tunnel" || record.scheme === undefined ? {} : { scheme: record.scheme }),
    ...(record.target === undefined ? {} : { target: formatEndpoint(record.target) }),
    ...(record.dialled === undefined ? {} : { dialled: formatAddress(record.dialled) }),
    ...(record.decision === undefined ? {} : { rule: record.decision.rule }),
    ...(record.route === undefined ? {} : { route: record.route.name }),
    ...(record.inside?.protocol === undefined ? {} : { inside: record.inside.protocol }),
    ...(record.inside?.tls === undefined ? {} : { tls: describeTls(record.inside.tls) }),
    startedAt: new Date(record.startedAt).toISOString(),
    ageMs: Math.max(0, Math.round(now - record.stageSince)),
    bytesUp: up,
    bytesDown: down,
  };
}
