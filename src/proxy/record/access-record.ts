import { formatEndpoint } from "../../address/endpoint.ts";
import { describeFailure, type FailureDetail, type FailureWord } from "../failure.ts";
import { type ClientProtocol, type Session, type Stage } from "../session.ts";
import { type DescribedTls, describeTls } from "../tunnel/inside-facts.ts";
import type { InsideProtocol } from "../tunnel/inside-demand.ts";
import type { TunnelEnd } from "../tunnel/tunnel.ts";
import { formatAddress } from "./format-address.ts";

/**
 * What is written down about one connection when it is over. No field can hold
 * a credential. What is not known is undefined.
 */
export interface AccessRecord {
  /** When the connection ended, ISO 8601 in UTC. */
  readonly time: string;
  readonly id: string;
  /** The last stage reached. */
  readonly stage: Stage;
  readonly listener: string;
  /** `ip:port` of the client. */
  readonly client: string;
  readonly user: string | undefined;
  readonly protocol: ClientProtocol | undefined;
  readonly method: string | undefined;
  /** Of the URI of a forwarded request; undefined for a tunnel. */
  readonly scheme: "http" | "https" | undefined;
  /** `host:port` that the client asked for. */
  readonly target: string | undefined;
  /** `ip:port` that was dialled: of the target, or of the first hop. */
  readonly dialled: string | undefined;
  readonly rule: string | undefined;
  readonly route: string | undefined;
  /** Status sent to the client. */
  readonly status: number | undefined;
  /** RFC 9209 error type, when the connection failed. */
  readonly error: FailureWord | undefined;
  /** The precise reason, beside `error`. */
  readonly detail: FailureDetail | undefined;
  readonly note: string | undefined;
  readonly nextHop: string | undefined;
  readonly receivedStatus: number | undefined;
  /** What was spoken inside the tunnel, as far as its first bytes tell. */
  readonly inside: InsideProtocol | undefined;
  /** What its TLS handshake showed. */
  readonly tls: DescribedTls | undefined;
  /** How the tunnel ended, when there was one. */
  readonly end: TunnelEnd | undefined;
  /** Bytes from client to target, and back: the payload of a tunnel, or a forwarded request and its response. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Milliseconds from accept, or from the beginning of the request on a kept connection, to the end. */
  readonly ms: number;
  /** Milliseconds in each stage that was entered, in order; `respond` also for the refusal after the one that failed. */
  readonly stageMs: Partial<Record<Stage, number>>;
}

/** Sums up a connection that is over. `now` is the monotonic clock of `enterStage`, in milliseconds. */
export function buildAccessRecord(session: Session, now: number): AccessRecord {
  const { failure, tunnel, forwarded, inside } = session;
  const ms = now - session.acceptedAt;
  const stageMs: Partial<Record<Stage, number>> = {};
  for (const stage in session.stageMs) {
    const spent = session.stageMs[stage as Stage];
    if (spent !== undefined) stageMs[stage as Stage] = roundToMicroseconds(spent);
  }
  stageMs[session.openStage] = roundToMicroseconds(now - session.stageSince);
  return {
    time: new Date(session.startedAt + ms).toISOString(),
    id: session.id,
    stage: session.stage,
    listener: session.listener,
    client: formatAddress({ ip: session.client, port: session.clientPort }),
    user: session.user,
    protocol: session.protocol,
    method: session.method,
    scheme: session.scheme,
    target: session.target && formatEndpoint(session.target),
    dialled: session.dialled && formatAddress(session.dialled),
    rule: session.decision?.rule,
    route: session.route?.name,
    status: session.status,
    error: failure && describeFailure(failure.detail).word,
    detail: failure?.detail,
    note: failure?.note,
    nextHop: failure?.nextHop,
    receivedStatus: failure?.receivedStatus,
    inside: inside?.protocol,
    tls: inside?.tls && describeTls(inside.tls),
    end: tunnel?.end,
    bytesUp: tunnel?.bytesUp ?? forwarded?.up ?? 0,
    bytesDown: tunnel?.bytesDown ?? forwarded?.down ?? 0,
    ms: roundToMicroseconds(ms),
    stageMs,
  };
}

function roundToMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
