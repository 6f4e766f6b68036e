import { formatEndpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import { describeFailure, type FailureDetail, type FailureWord } from "../failure.ts";
import type { ClientProtocol, Session, Stage } from "../session.ts";
import type { TunnelEnd } from "../tunnel/tunnel.ts";

/**
 * What is written down about one connection when it is over. No field can hold
 * a credential. What is not known is absent.
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
  readonly user?: string;
  readonly protocol?: ClientProtocol;
  readonly method?: string;
  /** `host:port` that the client asked for. */
  readonly target?: string;
  /** `ip:port` that was dialled: of the target, or of the first hop. */
  readonly dialled?: string;
  readonly rule?: string;
  readonly route?: string;
  /** Status sent to the client. */
  readonly status?: number;
  /** RFC 9209 error type, when the connection failed. */
  readonly error?: FailureWord;
  /** The precise reason, beside `error`. */
  readonly detail?: FailureDetail;
  readonly note?: string;
  readonly nextHop?: string;
  readonly receivedStatus?: number;
  /** How the tunnel ended, when there was one. */
  readonly end?: TunnelEnd;
  /** Payload bytes from client to target, and back. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Milliseconds from accept to the end. */
  readonly ms: number;
  /** Milliseconds in each stage that was entered, in order. */
  readonly stageMs: Partial<Record<Stage, number>>;
}

/** Sums up a connection that is over. `now` is the monotonic clock of `enterStage`, in milliseconds. */
export function buildAccessRecord(session: Session, now: number): AccessRecord {
  const { failure, tunnel } = session;
  const stageMs: Partial<Record<Stage, number>> = {};
  let ms = 0;
  for (const stage of Object.keys(session.stageMs) as Stage[]) {
    const spent = session.stageMs[stage] ?? 0;
    ms += spent;
    stageMs[stage] = roundToMicroseconds(spent);
  }
  const inLastStage = Math.max(0, now - session.stageSince);
  ms += inLastStage;
  stageMs[session.stage] = roundToMicroseconds(inLastStage);
  return {
    time: new Date(session.startedAt + ms).toISOString(),
    id: session.id,
    stage: session.stage,
    listener: session.listener,
    client: formatEndpoint({ host: hostFromIp(session.client), port: session.clientPort }),
    ...(session.user === undefined ? {} : { user: session.user }),
    ...(session.protocol === undefined ? {} : { protocol: session.protocol }),
    ...(session.method === undefined ? {} : { method: session.method }),
    ...(session.target === undefined ? {} : { target: formatEndpoint(session.target) }),
    ...(session.dialled === undefined ? {} : { dialled: session.dialled }),
    ...(session.decision === undefined ? {} : { rule: session.decision.rule }),
    ...(session.route === undefined ? {} : { route: session.route.name }),
    ...(session.status === undefined ? {} : { status: session.status }),
    ...(failure === undefined ? {} : { error: describeFailure(failure.detail).word, detail: failure.detail }),
    ...(failure?.note === undefined ? {} : { note: failure.note }),
    ...(failure?.nextHop === undefined ? {} : { nextHop: failure.nextHop }),
    ...(failure?.receivedStatus === undefined ? {} : { receivedStatus: failure.receivedStatus }),
    ...(tunnel === undefined ? {} : { end: tunnel.end }),
    bytesUp: tunnel?.bytesUp ?? 0,
    bytesDown: tunnel?.bytesDown ?? 0,
    ms: roundToMicroseconds(ms),
    stageMs,
  };
}

function roundToMicroseconds(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
