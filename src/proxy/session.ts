import type { Ip } from "../address/ip.ts";
import type { Endpoint } from "../address/endpoint.ts";
import type { Failure } from "./failure.ts";
import type { Decision } from "./policy/policy.ts";
import type { Route } from "./route/route.ts";
import type { Runtime } from "./runtime.ts";
import type { TunnelResult } from "./tunnel/tunnel.ts";

/** The stages of a connection's life, in order. The last one reached is in the record. */
export type Stage = "accept" | "handshake" | "authenticate" | "decide" | "route" | "dial" | "respond" | "tunnel";

/** How the client speaks to us. */
export type ClientProtocol = "http" | "socks5" | "socks4";

/** Everything known so far about one connection. Stages add to it; the record reads it. */
export interface Session {
  /** Unique for the life of the process and unlikely to repeat after it. */
  readonly id: string;
  readonly runtime: Runtime;
  readonly client: Ip;
  readonly clientPort: number;
  /** The listener's address as bound, `host:port`. */
  readonly listener: string;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  stage: Stage;
  /** Milliseconds spent in each stage that is over. */
  readonly stageMs: Partial<Record<Stage, number>>;
  protocol: ClientProtocol | undefined;
  method: string | undefined;
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
}

/** Enters `stage`, closing the account of the one before. `now` is a monotonic clock in milliseconds. */
export type EnterStage = (session: Session, stage: Stage, now: number) => void;
