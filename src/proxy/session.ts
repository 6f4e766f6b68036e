import type { Ip } from "../address/ip.ts";
import type { Endpoint } from "../address/endpoint.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import type { Failure } from "./failure.ts";
import type { InsideFacts } from "./tunnel/inside-facts.ts";
import type { DialledAddress } from "./dial/connect-race.ts";
import type { DialOutcome } from "./dial/dial.ts";
import type { Decision } from "./policy/policy.ts";
import type { Route } from "./route/route.ts";
import type { Runtime } from "./runtime.ts";
import type { TunnelResult } from "./tunnel/tunnel.ts";

/** The stages of a connection's life, in order. The last one reached is in the record. */
export type Stage =
  "accept" | "handshake" | "authenticate" | "request" | "decide" | "route" | "dial" | "respond" | "tunnel" | "forward";

/** Milliseconds per stage, in order; undefined for one that was not entered, or is not over. */
export type StageTimes = { [Name in Stage]?: number | undefined };

/** How the client speaks to us. */
export type ClientProtocol = "http" | "socks5" | "socks4";

/** A client's certificate that was accepted in the handshake. */
export interface ShownCertificate {
  /** Who it is for. */
  readonly user: string;
  /** Why the listener does not accept it at `now` (milliseconds since the epoch); undefined as long as it does. */
  findFault(now: number): string | undefined;
}

/** Everything known so far about one connection. Stages add to it; the record reads it. */
export interface Session {
  /** Unique for the life of the process and unlikely to repeat after it. */
  readonly id: string;
  readonly runtime: Runtime;
  /** The peer of the connection, or whom it speaks for by its PROXY header. */
  client: Ip;
  clientPort: number;
  /** The certificate of the client, when the listener asks for one and the client has one. */
  certificate: ShownCertificate | undefined;
  /** The listener's address as bound, `host:port`. */
  readonly listener: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  /** Monotonic milliseconds at which the connection was accepted, or its next request began. */
  readonly acceptedAt: number;
  stage: Stage;
  /** Monotonic milliseconds at which the current stage began. */
  stageSince: number;
  /** Milliseconds spent in each stage that is over. */
  readonly stageMs: StageTimes;
  protocol: ClientProtocol | undefined;
  /** Whether a SOCKS5 client was asked for its password, and waits for the verdict (RFC 1929). */
  socksLogin: boolean;
  method: string | undefined;
  /** Of the URI that is to be forwarded; undefined for a tunnel. */
  scheme: "http" | "https" | undefined;
  /** Of a request that is to be forwarded, as it came. */
  requestHead: RequestHead | undefined;
  target: Endpoint | undefined;
  user: string | undefined;
  decision: Decision | undefined;
  /** The name that the target's addresses belong to, when it is not the one that was asked for. */
  foundName: string | undefined;
  route: Route | undefined;
  /** The address that was dialled: of the target, or of the first hop. */
  dialled: DialledAddress | undefined;
  /** Status sent to the client. */
  status: number | undefined;
  failure: Failure | undefined;
  tunnel: TunnelResult | undefined;
  /** What the first bytes inside the tunnel show; undefined when nobody looks. */
  inside: InsideFacts | undefined;
  /** Bytes of a forwarded request that the next hop took, and of its response that the client took, heads included. */
  forwarded: { readonly up: number; readonly down: number } | undefined;
}

/** Process-wide prefix and count of ids: short, ordered, unlikely to repeat after a restart. */
const idPrefix = Math.floor(Math.random() * 36 ** 6)
  .toString(36)
  .padStart(6, "0");
let idCount = 0;

/** Every tunnel keeps its account for as long as it lives: what can be told from less is not stored. */
class Account implements Session {
  readonly runtime: Runtime;
  client: Ip;
  clientPort: number;
  certificate: ShownCertificate | undefined;
  readonly listener: string;
  readonly startedAt: number = Date.now();
  readonly acceptedAt: number;
  stage: Stage = "accept";
  stageSince: number;
  readonly stageMs = new Times();
  protocol: ClientProtocol | undefined = undefined;
  socksLogin = false;
  method: string | undefined = undefined;
  scheme: "http" | "https" | undefined = undefined;
  requestHead: RequestHead | undefined = undefined;
  target: Endpoint | undefined = undefined;
  user: string | undefined = undefined;
  decision: Decision | undefined = undefined;
  foundName: string | undefined = undefined;
  route: Route | undefined = undefined;
  dialled: DialledAddress | undefined = undefined;
  status: number | undefined = undefined;
  failure: Failure | undefined = undefined;
  tunnel: TunnelResult | undefined = undefined;
  inside: InsideFacts | undefined = undefined;
  forwarded: { readonly up: number; readonly down: number } | undefined = undefined;
  readonly #number: number;

  constructor(
    runtime: Runtime,
    client: Ip,
    clientPort: number,
    listener: string,
    certificate: ShownCertificate | undefined,
  ) {
    idCount += 1;
    this.#number = idCount;
    this.runtime = runtime;
    this.client = client;
    this.clientPort = clientPort;
    this.listener = listener;
    this.certificate = certificate;
    this.acceptedAt = performance.now();
    this.stageSince = this.acceptedAt;
  }

  get id(): string {
    return `${idPrefix}-${this.#number.toString(36)}`;
  }
}

/** The stages of a tunnel from the beginning, so that all have the same shape. After `forward` hardly ever another one follows. */
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

/** Opens the account of a connection that was just accepted. */
export function openSession(runtime: Runtime, client: Ip, clientPort: number, listener: string): Session {
  return new Account(runtime, client, clientPort, listener, undefined);
}

/** Opens the account of the next request on a connection that was kept: what is known of the client stays. */
export function openNextSession(before: Session, runtime: Runtime): Session {
  return new Account(runtime, before.client, before.clientPort, before.listener, before.certificate);
}

/** Enters the next stage and closes the account of the one before. */
export function enterStage(session: Session, stage: Stage): void {
  const now = performance.now();
  session.stageMs[session.stage] = now - session.stageSince;
  session.stageSince = now;
  session.stage = stage;
  // A second try begins anew.
  if (session.stageMs[stage] !== undefined) session.stageMs[stage] = undefined;
}

/** Notes what a dial found, also where it failed. */
export function noteDial(session: Session, dialled: DialOutcome): void {
  const { address, decision } = dialled.ok ? dialled.value : dialled;
  if (address !== undefined) session.dialled = address;
  if (decision !== undefined) session.decision = decision;
}

/** Closes the account of the stage that failed: what follows is telling the client. The stage stays the last one reached. */
export function failStage(session: Session): void {
  const now = performance.now();
  session.stageMs[session.stage] = now - session.stageSince;
  session.stageSince = now;
}

/** Where the time since `stageSince` belongs: to the stage at hand, or to the answer once that has failed. */
export function findOpenStage({ stage, stageMs }: Session): Stage {
  return stageMs[stage] === undefined ? stage : "respond";
}
