import type { Ip } from "../../address/ip.ts";
import type { Endpoint } from "../../address/endpoint.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import type { Failure } from "../failure.ts";
import type { InsideFacts } from "../tunnel/inside-facts.ts";
import type { ShownCertificate } from "../auth/identify.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import type { RecordedCarriage } from "../dial/carriage.ts";
import type { DialledAddress } from "../dial/connect-race.ts";
import type { Decision } from "../policy/decision.ts";
import type { PooledRoute, Route } from "../route/route.ts";
import type { Runtime } from "../runtime.ts";
import type { TunnelResult } from "../flow/tunnel.ts";
import type { TargetSlot } from "../limit/request-limits.ts";
import type { Accounts } from "../limit/use.ts";
import type { RequestTrace } from "../trace/request-trace.ts";
import type { Tracing } from "../trace/tracing.ts";
import type { BandwidthHold } from "../limit/bandwidths.ts";

/** The stages of a request, in order. The record has the last one reached. */
export const STAGES = [
  "accept",
  "handshake",
  "authenticate",
  "request",
  "decide",
  "route",
  "dial",
  "respond",
  "tunnel",
  "forward",
] as const;
export type Stage = (typeof STAGES)[number];

/** Milliseconds per stage, in order; undefined for a stage that was not entered or has not ended. */
export type StageTimes = { [Name in Stage]?: number | undefined };

export type ClientProtocol = "http" | "socks5" | "socks4";

/** Numbers requests: short ids in order, unlikely to repeat after a restart. */
export class RequestIds {
  /** What the ids begin with. */
  readonly prefix = Math.floor(Math.random() * 36 ** 6)
    .toString(36)
    .padStart(6, "0");
  #last = 0;

  next(): number {
    this.#last += 1;
    return this.#last;
  }

  format(number: number): string {
    return `${this.prefix}-${number.toString(36)}`;
  }
}

/** What the requests of a connection have in common. */
export interface RecordedConnection {
  /** The peer, or the client that its PROXY header names. */
  readonly client: Ip;
  readonly clientPort: number;
  /** The certificate of the client, when the listener asks for one and the client has one. */
  readonly certificate: ShownCertificate | undefined;
  readonly listener: {
    /** The listener's address as bound, `host:port`. */
    readonly name: string;
  };
  readonly services: {
    readonly ids: Pick<RequestIds, "next" | "format">;
    /** Absent where nothing is traced. */
    readonly tracing?: Pick<Tracing, "begin"> | undefined;
    /** Is told when a stage is left; undefined when nobody traces. */
    readonly tracer?: { entered(record: RequestRecord, left: Stage): void } | undefined;
  };
  /** What its forwarded requests are counted under. */
  accounts?: RememberedAccounts | undefined;
  /** Its tunnel was taken away: it ends here, and is recorded where the tunnel ends. Absent where there can be no tunnel. */
  tunnelTaken?(): void;
}

/** Accounts, and what they were looked up for. */
export interface RememberedAccounts extends Accounts {
  readonly userName: string | undefined;
  readonly endpoint: Endpoint | undefined;
  readonly route: Route | PooledRoute | undefined;
  /** Accounts that had been forgotten at the time. */
  readonly forgotten: number;
}

/** When a request began that is recorded from here on. */
export interface RequestBegin {
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Monotonic milliseconds. */
  readonly acceptedAt: number;
}

/**
 * Everything known so far about one request, or about a connection without one. A
 * tunnel keeps its record, so nothing is stored that can be computed.
 */
export class RequestRecord {
  readonly connection: RecordedConnection;
  /** The snapshot that the request captured, once its first message is whole. Until then that of its connection. */
  runtime: Runtime;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Monotonic milliseconds at which the connection was accepted, or its next request began. */
  readonly acceptedAt: number;
  stage: Stage = "accept";
  /** Monotonic milliseconds at which the current stage began. */
  stageSince: number;
  /** Milliseconds spent in each stage that is over. */
  readonly stageMs: StageTimes = new Times();
  protocol: ClientProtocol | undefined = undefined;
  method: string | undefined = undefined;
  /** Of the URI of a forwarded request; undefined for a tunnel. */
  scheme: "http" | "https" | undefined = undefined;
  /** Of a forwarded request, as received. */
  requestHead: RequestHead | undefined = undefined;
  target: Endpoint | undefined = undefined;
  user: string | undefined = undefined;
  /** The parameters in the user name; undefined for none. */
  parameters: UserParameters | undefined = undefined;
  decision: Decision | undefined = undefined;
  /** The name that has the target's addresses, when it differs from the requested one. */
  foundName: string | undefined = undefined;
  route: Route | PooledRoute | undefined = undefined;
  /** The members of pools that carry it, or that were tried last. */
  carriage: RecordedCarriage | undefined = undefined;
  /** Its place among those to the same target; undefined without a limit. */
  targetSlot: TargetSlot | undefined = undefined;
  /** The budgets of its tunnel; undefined when nothing limits it. */
  bandwidth: BandwidthHold | undefined = undefined;
  /** The address that was dialled: of the target, or of the first hop. */
  dialled: DialledAddress | undefined = undefined;
  /** Status sent to the client. */
  status: number | undefined = undefined;
  failure: Failure | undefined = undefined;
  tunnel: TunnelResult | undefined = undefined;
  /** What the first bytes inside the tunnel show; undefined without inspection. */
  inside: Readonly<InsideFacts> | undefined = undefined;
  /** Bytes of a forwarded request that the next hop took, and of its response that the client took, heads included. */
  forwarded: { readonly up: number; readonly down: number } | undefined = undefined;
  /** Bytes that use has been counted for already; undefined for none. */
  counted: { up: number; down: number } | undefined = undefined;
  /** Undefined for a request that is not traced. */
  trace: RequestTrace | undefined;
  /** Whether it has been recorded. */
  isWritten = false;
  readonly #number: number;

  /** Without `begun` the request begins now. */
  constructor(connection: RecordedConnection, runtime: Runtime, begun?: RequestBegin) {
    this.connection = connection;
    this.runtime = runtime;
    this.startedAt = begun?.startedAt ?? Date.now();
    this.acceptedAt = begun?.acceptedAt ?? performance.now();
    this.stageSince = this.acceptedAt;
    const { ids, tracing } = connection.services;
    this.trace = tracing === undefined ? undefined : tracing.begin();
    this.#number = ids.next();
  }

  /** Unique for the life of the process and unlikely to repeat after it. */
  get id(): string {
    return this.connection.services.ids.format(this.#number);
  }

  get client(): Ip {
    return this.connection.client;
  }

  get clientPort(): number {
    return this.connection.clientPort;
  }

  get certificate(): ShownCertificate | undefined {
    return this.connection.certificate;
  }

  /** The listener's address as bound, `host:port`. */
  get listener(): string {
    return this.connection.listener.name;
  }

  /** Monotonic milliseconds at which `handshake` times out. */
  get handshakeEndsAt(): number {
    return this.acceptedAt + this.runtime.timeouts.handshakeMs;
  }

  /** The stage to which the time since `stageSince` belongs; `respond` after a stage that failed. */
  get openStage(): Stage {
    return this.stageMs[this.stage] === undefined ? this.stage : "respond";
  }

  /** Ends the current stage and enters the next. */
  enter(stage: Stage): void {
    const left = this.stage;
    this.closeStage();
    this.stage = stage;
    // A second try replaces the time of the first.
    if (this.stageMs[stage] !== undefined) this.stageMs[stage] = undefined;
    const { tracer } = this.connection.services;
    if (tracer !== undefined) tracer.entered(this, left);
  }

  /** Ends the time of the current stage, which stays the last one reached. What follows a failure is the reply. */
  closeStage(): void {
    const now = performance.now();
    if (this.trace !== undefined) this.trace.note(this.openStage, this.stageSince, now);
    this.stageMs[this.stage] = now - this.stageSince;
    this.stageSince = now;
  }
}

/** Has the stages of a tunnel from the beginning, so that all objects have one shape. `forward` is nearly always the last. */
class Times implements StageTimes {
  accept: number | undefined = undefined;
  handshake: number | undefined = undefined;
  authenticate: number | undefined = undefined;
  request: number | undefined = undefined;
  decide: number | undefined = undefined;
  route: number | undefined = undefined;
  dial: number | undefined = undefined;
  respond: number | undefined = undefined;
  declare forward?: number | undefined;
}
