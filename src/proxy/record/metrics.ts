import { type Failure, type FailureDetail, listFailureDetails } from "../failure.ts";
import type { InsideFacts } from "../tunnel/inside-facts.ts";
import type { InsideProtocol } from "../policy/inside-demand.ts";
import { type ClientProtocol, type RequestRecord, STAGES } from "./request-record.ts";
import type { TunnelEnd } from "../flow/tunnel.ts";
import { chooseExemplar, type Exemplar, Histogram } from "./histogram.ts";
import { findReported } from "./find-reported.ts";
import { NamedCounts } from "./named-counts.ts";

/** `unknown`: the connection ended before it was clear what it speaks. */
export type ProtocolLabel = ClientProtocol | "unknown";

/** `undecided`: too little was said before the tunnel ended. */
export type InsideLabel = InsideProtocol | "undecided";

/** The versions of TLS that servers choose, from 0x0301 on; `other` for what is none of them. */
const TLS_LABELS = ["1.0", "1.1", "1.2", "1.3", "other"] as const;

/** The stages with a histogram: all but the tunnel, whose length says nothing about this proxy. */
const TIMED_STAGES = STAGES.filter((stage) => stage !== "tunnel");

/** From a tenth of a millisecond, below which stages cost nothing, to past the default deadlines. */
const STAGE_BOUNDS_MS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000];

/** From one exchange to a connection that is kept for a day. */
const TUNNEL_BOUNDS_MS = [100, 500, 1000, 5000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 14_400_000, 86_400_000];

/**
 * Plain counts that connections add to; whoever exposes them reads them then.
 * Every key is from a closed set or from the configuration, never from a peer.
 */
export class Metrics {
  connectionsOpen = 0;
  /** Forwarded requests that are over. */
  requests = 0;
  /** Connections accepted, by listener. */
  readonly accepted = new Map<string, number>();
  /** Connections on which nothing was ever said, by listener. */
  readonly probes = new Map<string, number>();
  /** Connections that are over, by listener and protocol. */
  readonly finished = new Map<string, Record<ProtocolLabel, number>>();
  readonly failures: Record<FailureDetail, number> = mapNames(listFailureDetails(), () => 0);
  /** The last example of each failure. */
  readonly failureExemplars = new Map<FailureDetail, Exemplar>();
  /** Requests that are over, by the rule that decided about them. */
  readonly rules = new NamedCounts([]);
  /** Requests that are over, by the upstreams on their route; `direct` without one. */
  readonly upstreams = new NamedCounts(STAGE_BOUNDS_MS);
  /** Requests that a limit refused or ended, by the name of the limit. */
  readonly limited = new Map<string, number>();
  readonly tunnelEnds: Record<TunnelEnd, number> = {
    closed: 0,
    client_reset: 0,
    target_reset: 0,
    idle_timeout: 0,
    killed: 0,
    drained: 0,
    denied: 0,
    quota_exceeded: 0,
    lane_lost: 0,
  };
  /** Payload bytes of tunnels that are over. */
  bytesUp = 0;
  bytesDown = 0;
  readonly stages = mapNames(TIMED_STAGES, () => new Histogram(STAGE_BOUNDS_MS));
  /** Tunnels that were looked into and are over, by what was spoken. */
  readonly inside: Record<InsideLabel, number> = { tls: 0, http: 0, ssh: 0, smtp: 0, unknown: 0, undecided: 0 };
  /** TLS records that began in them: full handshakes, and resumptions. */
  readonly tlsSessions = mapNames(TLS_LABELS, () => ({ full: 0, resumed: 0 }));
  readonly tlsHandshake = new Histogram(STAGE_BOUNDS_MS);
  readonly tunnelDuration = new Histogram(TUNNEL_BOUNDS_MS);

  /** Over all listeners. */
  get acceptedInAll(): number {
    return sum(this.accepted);
  }

  get probesInAll(): number {
    return sum(this.probes);
  }

  /** Connections since the start. */
  countConnections(): { readonly accepted: number; readonly ended: number } {
    const accepted = this.acceptedInAll;
    return { accepted, ended: accepted - this.connectionsOpen };
  }

  /** Counts a connection that was accepted. */
  countOpened(listener: string): void {
    this.connectionsOpen += 1;
    this.accepted.set(listener, (this.accepted.get(listener) ?? 0) + 1);
  }

  /** Counts a connection that is over before its first byte. */
  countProbe(listener: string): void {
    this.probes.set(listener, (this.probes.get(listener) ?? 0) + 1);
  }

  /** Counts a connection that is over. */
  countClosed(record: RequestRecord): void {
    this.connectionsOpen -= 1;
    const byProtocol = this.finished.get(record.listener) ?? { http: 0, socks5: 0, socks4: 0, unknown: 0 };
    byProtocol[record.protocol ?? "unknown"] += 1;
    this.finished.set(record.listener, byProtocol);
  }

  /**
   * Counts a connection that came from another process (1) or went to one (-1). The
   * bytes that its tunnel has moved so far count where they were moved, and the
   * record of its end has them all.
   */
  countMoved(
    change: 1 | -1,
    bytes: { readonly up: number; readonly down: number },
    { route }: Pick<RequestRecord, "route">,
  ): void {
    this.connectionsOpen += change;
    this.bytesUp -= change * bytes.up;
    this.bytesDown -= change * bytes.down;
    if (route === undefined) return;
    const upstream = this.upstreams.get(labelRoute(route.name));
    upstream.bytesUp -= change * bytes.up;
    upstream.bytesDown -= change * bytes.down;
  }

  /**
   * Counts a request that is over. `now` is the monotonic clock of `enterStage`;
   * `moved` are the bytes of its tunnel or of its forwarded messages.
   */
  countFinished(record: RequestRecord, moved: { readonly up: number; readonly down: number }, now: number): void {
    if (record.scheme !== undefined) this.requests += 1;
    if (record.failure !== undefined) this.#countFailure(record, record.failure, now);
    if (record.tunnel !== undefined) this.tunnelEnds[record.tunnel.end] += 1;
    if (record.inside !== undefined) this.#countInside(record.inside);
    this.bytesUp += moved.up;
    this.bytesDown += moved.down;
    this.#countNames(record, moved, now);
    this.#observeStages(record, now);
  }

  #countFailure(record: RequestRecord, { detail, limit }: Failure, now: number): void {
    this.failures[detail] += 1;
    if (limit !== undefined) this.limited.set(limit, (this.limited.get(limit) ?? 0) + 1);
    this.failureExemplars.set(detail, chooseExemplar(this.failureExemplars.get(detail), 1, record, now));
  }

  #countNames(record: RequestRecord, moved: { readonly up: number; readonly down: number }, now: number): void {
    const { decision, route, failure } = record;
    if (decision !== undefined) {
      const reported = findReported(record);
      if (reported !== undefined) this.rules.get(reported.rule).report(reported.detail);
      const rule = this.rules.get(decision.rule);
      rule.requests += 1;
      if (failure !== undefined) rule.fail(failure, record, now);
    }
    if (route === undefined) return;
    const upstream = this.upstreams.get(labelRoute(route.name));
    upstream.requests += 1;
    upstream.bytesUp += moved.up;
    upstream.bytesDown += moved.down;
    if (failure !== undefined) upstream.fail(failure, record, now);
    const dialMs = record.stageMs.dial;
    if (dialMs !== undefined) upstream.dial.observe(dialMs, record, now);
  }

  #countInside({ protocol, tls }: InsideFacts): void {
    this.inside[protocol ?? "undecided"] += 1;
    if (tls?.version === undefined) return;
    this.tlsSessions[labelVersion(tls.version)][tls.resumed === true ? "resumed" : "full"] += 1;
    if (tls.handshakeMs !== undefined) this.tlsHandshake.observe(tls.handshakeMs);
  }

  #observeStages(record: RequestRecord, now: number): void {
    for (const stage of TIMED_STAGES) {
      const spent = record.stageMs[stage];
      if (spent !== undefined) this.stages[stage].observe(spent, record, now);
    }
    const inLastStage = Math.max(0, now - record.stageSince);
    const open = record.openStage;
    if (open === "tunnel") this.tunnelDuration.observe(inLastStage, record, now);
    else this.stages[open].observe(inLastStage, record, now);
  }
}

function labelVersion(version: number): (typeof TLS_LABELS)[number] {
  return TLS_LABELS[version - 0x0301] ?? "other";
}

/** A value for each name of a closed set. */
function mapNames<Name extends string, Value>(names: readonly Name[], make: () => Value): Record<Name, Value> {
  return Object.fromEntries(names.map((name) => [name, make()])) as Record<Name, Value>;
}

function sum(counts: ReadonlyMap<string, number>): number {
  return counts.values().reduce((total, count) => total + count, 0);
}

/** The upstreams of a route in the words of the configuration: what a PAC file chose, which comes after a slash, is left out. */
function labelRoute(name: string): string {
  return name.includes("/") ? name.replace(/\/\S*/g, "") : name;
}
