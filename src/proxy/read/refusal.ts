import { formatProxyStatus } from "../../protocol/http1/proxy-status.ts";
import { explainFailure } from "../explain-failure.ts";
import { describeFailure, type Failure } from "../failure.ts";
import { writeReasonPhrase } from "./reason-phrase.ts";

const encoder = new TextEncoder();

export interface RefusalContext {
  /** Name of this proxy. */
  readonly agent: string;
  /** Id of the request, with which a reader of the body finds the log line. */
  readonly id: string;
  /** Name of the rule that decided; undefined before that stage. */
  readonly rule: string | undefined;
  /** `Proxy-Authenticate` values for a 407. */
  readonly challenges: readonly string[];
  /** The response to HEAD has no body (RFC 9110 §9.3.2). */
  readonly withoutBody: boolean;
  /** The connection is kept for another request. */
  readonly keeps: boolean;
}

/**
 * Writes the response that refuses a request: status and why, `Proxy-Status` (RFC
 * 9209), a body in which a person can read the reason, and whether the
 * connection ends (always for CONNECT, RFC 9931).
 */
export function writeRefusal(failure: Failure, context: RefusalContext): Uint8Array {
  const { word, status } = describeFailure(failure.detail);
  const note = failure.note === undefined ? "" : sanitiseNote(failure.note);
  const body = [
    `${status} ${word} (${failure.detail})`,
    sanitiseNote(explainFailure(failure)),
    ...(note === "" ? [] : [`Found: ${note}`]),
    ...(failure.nextHop === undefined ? [] : [`Next hop: ${sanitiseNote(failure.nextHop)}`]),
    `Connection: ${context.id}`,
    "",
  ].join("\n");
  const proxyStatus = formatProxyStatus({
    proxy: context.agent,
    error: word,
    details: note === "" ? failure.detail : `${failure.detail}: ${note}`,
    ...(failure.nextHop === undefined ? {} : { nextHop: failure.nextHop }),
    ...(failure.receivedStatus === undefined ? {} : { receivedStatus: failure.receivedStatus }),
  });
  const bodyBytes = encoder.encode(body);
  const lines = [
    `HTTP/1.1 ${status} ${writeReasonPhrase(failure, context.rule)}`,
    `Proxy-Status: ${proxyStatus}`,
    ...(status === 407 ? context.challenges.map((challenge) => `Proxy-Authenticate: ${challenge}`) : []),
    ...(failure.retryAfterSeconds === undefined ? [] : [`Retry-After: ${failure.retryAfterSeconds}`]),
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${bodyBytes.length}`,
    "Cache-Control: no-store",
    ...(context.keeps ? [] : ["Connection: close"]),
    "",
    "",
  ];
  const head = encoder.encode(lines.join("\r\n"));
  return context.withoutBody ? head : Buffer.concat([head, bodyBytes]);
}

/** Notes quote peers, so only printable ASCII is kept, up to 200 characters. */
function sanitiseNote(note: string): string {
  return note.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 200);
}
