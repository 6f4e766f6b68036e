import { formatEndpoint } from "../../address/endpoint.ts";
import { describeTls } from "../tunnel/inside-facts.ts";
import type { RequestRecord } from "./request-record.ts";
import type { Endable, RequestUnderWay } from "../exchange/forwarding.ts";
import type { Failure } from "../failure.ts";
import type { Tunnel } from "../flow/tunnel.ts";
import { type CaptureFilter, matchesCapture } from "./capture-filter.ts";
import { type AccessRecord, formatAddress } from "./access-record.ts";
import { findReported } from "./find-reported.ts";

/** What may be unknown yet. */
type KnownSoFar =
  | "user"
  | "parameters"
  | "protocol"
  | "method"
  | "scheme"
  | "target"
  | "dialled"
  | "rule"
  | "reported"
  | "reportedRule"
  | "route"
  | "inside"
  | "tls";

/** A tunnel or a forwarded request under way, as it was at the moment of asking, in the words of its record. */
export interface Flow
  extends
    Pick<AccessRecord, "id" | "listener" | "client" | "bytesUp" | "bytesDown">,
    Partial<Pick<AccessRecord, KnownSoFar>> {
  readonly kind: "tunnel" | "request";
  /** When the client connected or its request began, ISO 8601 in UTC. */
  readonly startedAt: string;
  /** Milliseconds since the tunnel opened, or the request was sent on. */
  readonly ageMs: number;
  /** The setting whose limit on bandwidth it waits for at the moment. */
  readonly limit?: string | undefined;
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

  readonly #nameLimit: (bucket: number) => string | undefined;

  /** `requests` are kept by others, and looked at when somebody asks. `nameLimit` gives the setting that a bucket is for. */
  constructor(requests: Iterable<Endable> = [], nameLimit: (bucket: number) => string | undefined = () => undefined) {
    this.#requests = requests;
    this.#nameLimit = nameLimit;
  }

  /** The number of tunnels. */
  get size(): number {
    return this.#tunnels.size;
  }

  /** Counts the forwarded requests under way. */
  countRequests(): number {
    let count = 0;
    for (const request of this.#requests) if (request.look() !== undefined) count += 1;
    return count;
  }

  /** Milliseconds since the oldest tunnel opened; undefined without a tunnel. */
  oldestAgeMs(now: number): number | undefined {
    if (this.#tunnels.size === 0) return undefined;
    // A map is in the order in which tunnels were added; those that came from another process are older.
    const since = this.#tunnels.keys().reduce((least, { stageSince }) => Math.min(least, stageSince), now);
    return now - since;
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

  /** Calls `visit` with the bytes of every tunnel and every forwarded request under way. */
  look(visit: (record: RequestRecord, up: number, down: number) => void): void {
    for (const [record, tunnel] of this.#tunnels) {
      const { up, down } = tunnel.bytes();
      visit(record, up, down);
    }
    for (const request of this.#requests) {
      const look = request.look();
      if (look !== undefined) visit(look.record, look.up, look.down);
    }
  }

  /** Calls `visit` with everything that matches: tunnels in the order in which they came, then requests. */
  sample(filter: FlowFilter, visit: (kind: Flow["kind"], look: RequestUnderWay) => void): void {
    for (const [record, tunnel] of this.#tunnels) {
      if (!matchesFlow(filter, record)) continue;
      const { up, down } = tunnel.bytes();
      visit("tunnel", { record, up, down, waitsFor: tunnel.waitsFor });
    }
    for (const request of this.#requests) {
      const look = request.look();
      if (look !== undefined && matchesFlow(filter, look.record)) visit("request", look);
    }
  }

  /** Ends the tunnels and requests of those users for whom `why` gives a reason. Gives their number. */
  endSpent(why: (record: RequestRecord) => Failure | undefined): number {
    let ended = 0;
    const end = (record: RequestRecord, stop: (failure: Failure) => void): void => {
      const failure = why(record);
      if (failure === undefined) return;
      ended += 1;
      stop(failure);
    };
    for (const [record, tunnel] of this.#tunnels)
      end(record, (failure) => {
        record.failure = failure;
        tunnel.kill("quota_exceeded");
      });
    for (const request of this.#requests) {
      const look = request.look();
      if (look !== undefined) end(look.record, (failure) => request.abort(failure));
    }
    return ended;
  }

  /**
   * Snapshots of those that match, tunnels first, then requests, each the oldest
   * first. `now` is the monotonic clock of `enterStage`, in milliseconds.
   */
  list(now: number, filter: FlowFilter = {}): Flow[] {
    const tunnels = this.#findTunnels(filter)
      .sort(([one], [other]) => one.stageSince - other.stageSince)
      .map(([record, tunnel]) =>
        this.describe("tunnel", { record, ...tunnel.bytes(), waitsFor: tunnel.waitsFor }, now),
      );
    const requests = this.#findRequests(filter).map(({ look }) => this.describe("request", look, now));
    return [...tunnels, ...requests];
  }

  /** What one of them is like in the words of its record. `now` is monotonic, in milliseconds. */
  describe(kind: Flow["kind"], look: RequestUnderWay, now: number): Flow {
    const limit = look.waitsFor === undefined ? undefined : this.#nameLimit(look.waitsFor);
    return { ...describeFlow(kind, look, now), limit };
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
  const { id, listener, user, parameters, protocol, target, dialled, inside } = record;
  const isTunnel = kind === "tunnel";
  const reported = findReported(record);
  return {
    kind,
    id,
    listener,
    client: formatAddress({ ip: record.client, port: record.clientPort }),
    user,
    parameters,
    protocol,
    method: isTunnel ? undefined : record.method,
    scheme: isTunnel ? undefined : record.scheme,
    target: target && formatEndpoint(target),
    dialled: dialled && formatAddress(dialled),
    rule: record.decision?.rule,
    reported: reported?.detail,
    reportedRule: reported?.rule,
    route: record.route?.name,
    inside: inside?.protocol,
    tls: inside?.tls && describeTls(inside.tls),
    startedAt: new Date(record.startedAt).toISOString(),
    ageMs: Math.max(0, Math.round(now - record.stageSince)),
    bytesUp: up,
    bytesDown: down,
  };
}
