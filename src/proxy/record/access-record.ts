import { formatEndpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import { describeFailure, type FailureDetail, type FailureWord } from "../failure.ts";
import { findReported } from "./find-reported.ts";
import { type ClientProtocol, type RequestRecord, type Stage } from "./request-record.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";
import { type DescribedTls, describeTls } from "../tunnel/inside-facts.ts";
import type { InsideProtocol } from "../policy/inside-demand.ts";
import type { TunnelEnd } from "../flow/tunnel.ts";

/**
 * What is recorded about one request when it is over. No field holds a credential.
 * What is not known is undefined.
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
  /** The parameters in the user name. Their number and length are bounded. */
  readonly parameters: UserParameters | undefined;
  readonly protocol: ClientProtocol | undefined;
  readonly method: string | undefined;
  /** Of the URI of a forwarded request; undefined for a tunnel. */
  readonly scheme: "http" | "https" | undefined;
  /** `host:port` that the client asked for. */
  readonly target: string | undefined;
  /** `ip:port` that was dialled: of the target, or of the first hop. */
  readonly dialled: string | undefined;
  readonly rule: string | undefined;
  /** Why it would have been refused, when that was only reported, and the rule that would have done it. */
  readonly reported: FailureDetail | undefined;
  readonly reportedRule: string | undefined;
  readonly route: string | undefined;
  /** The members of pools that carried it, or that were tried last; and how many attempts there were. */
  readonly member: string | undefined;
  readonly attempts: number | undefined;
  /** Status sent to the client. */
  readonly status: number | undefined;
  /** RFC 9209 error type, when the connection failed. */
  readonly error: FailureWord | undefined;
  /** The precise reason, beside `error`. */
  readonly detail: FailureDetail | undefined;
  /** The name of the limit that refused it. */
  readonly limit: string | undefined;
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
export function buildAccessRecord(record: RequestRecord, now: number): AccessRecord {
  const { failure, tunnel, forwarded, inside } = record;
  const reported = findReported(record);
  const ms = now - record.acceptedAt;
  const stageMs: Partial<Record<Stage, number>> = {};
  for (const stage in record.stageMs) {
    const spent = record.stageMs[stage as Stage];
    if (spent !== undefined) stageMs[stage as Stage] = roundToMicroseconds(spent);
  }
  stageMs[record.openStage] = roundToMicroseconds(now - record.stageSince);
  return {
    time: new Date(record.startedAt + ms).toISOString(),
    id: record.id,
    stage: record.stage,
    listener: record.listener,
    client: formatAddress({ ip: record.client, port: record.clientPort }),
    user: record.user,
    parameters: record.parameters,
    protocol: record.protocol,
    method: record.method,
    scheme: record.scheme,
    target: record.target && formatEndpoint(record.target),
    dialled: record.dialled && formatAddress(record.dialled),
    rule: record.decision?.rule,
    reported: reported?.detail,
    reportedRule: reported?.rule,
    route: record.route?.name,
    member: record.carriage?.name,
    attempts: record.carriage?.attempt,
    status: record.status,
    error: failure && describeFailure(failure.detail).word,
    detail: failure?.detail,
    limit: failure?.limit,
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

/** `ip:port`, IPv6 in brackets. */
export function formatAddress({ ip, port }: { readonly ip: Ip; readonly port: number }): string {
  return formatEndpoint({ host: hostFromIp(ip), port });
}
