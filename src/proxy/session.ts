import type { Ip } from "../address/ip.ts";
import type { Endpoint } from "../address/endpoint.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import type { Failure } from "./failure.ts";
import type { InsideFacts } from "./inspect/inside-facts.ts";
import type { Decision } from "./policy/policy.ts";
import type { Route } from "./route/route.ts";
import type { Runtime } from "./runtime.ts";
import type { TunnelResult } from "./tunnel/tunnel.ts";

/** The stages of a connection's life, in order. The last one reached is in the record. */
export type Stage =
  "accept" | "handshake" | "authenticate" | "request" | "decide" | "route" | "dial" | "respond" | "tunnel" | "forward";

/** How the client speaks to us. */
export type ClientProtocol = "http" | "socks5" | "socks4";

/** Everything known so far about one connection. Stages add to it; the record reads it. */
export interface Session {
  /** Unique for the life of the process and unlikely to repeat after it. */
  readonly id: string;
  readonly runtime: Runtime;
  /** The peer of the connection, or whom it speaks for by its PROXY header. */
  client: Ip;
  clientPort: number;
  /** Who the client is by its verified certificate (SAN or subject), when the listener asks for one. */
  certificateUser: string | undefined;
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
  readonly stageMs: Partial<Record<Stage, number>>;
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
  route: Route | undefined;
  /** The address that was dialled, `ip:port`: of the target, or of the first hop. */
  dialled: string | undefined;
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

export interface SessionStart {
  readonly runtime: Runtime;
  readonly client: Ip;
  readonly clientPort: number;
  readonly listener: string;
  /** On a kept connection: what is known of the client already. */
  readonly certificateUser?: string | undefined;
}

/** Opens the account of a connection that was just accepted. */
export function openSession(start: SessionStart): Session {
  idCount += 1;
  const now = performance.now();
  return {
    id: `${idPrefix}-${idCount.toString(36)}`,
    runtime: start.runtime,
    client: start.client,
    clientPort: start.clientPort,
    listener: start.listener,
    certificateUser: start.certificateUser,
    startedAt: Date.now(),
    stage: "accept",
    stageMs: {},
    acceptedAt: now,
    stageSince: now,
    protocol: undefined,
    socksLogin: false,
    method: undefined,
    scheme: undefined,
    requestHead: undefined,
    target: undefined,
    user: undefined,
    decision: undefined,
    route: undefined,
    dialled: undefined,
    status: undefined,
    failure: undefined,
    tunnel: undefined,
    inside: undefined,
    forwarded: undefined,
  };
}

/** Opens the account of the next request on a connection that was kept: what is known of the client stays. */
export function openNextSession(before: Session, runtime: Runtime): Session {
  const { client, clientPort, listener, certificateUser } = before;
  return openSession({ runtime, client, clientPort, listener, certificateUser });
}

/** Enters the next stage and closes the account of the one before. */
export function enterStage(session: Session, stage: Stage): void {
  const now = performance.now();
  session.stageMs[session.stage] = now - session.stageSince;
  session.stageSince = now;
  session.stage = stage;
}
