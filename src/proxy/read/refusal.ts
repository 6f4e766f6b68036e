import { frameRequest } from "../../protocol/http1/message-framing.ts";
import { allowsNextRequest } from "../../protocol/http1/persistence.ts";
import { formatProxyStatus } from "../../protocol/http1/proxy-status.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import { explainFailure } from "../explain-failure.ts";
import { describeFailure, type Failure } from "../failure.ts";
import { writeReasonPhrase } from "./reason-phrase.ts";

const encoder = new TextEncoder();

/** A failure that is told to the client, with what replies say about it. */
export interface Refusal {
  readonly failure: Failure;
  /** Name of this proxy. */
  readonly agent: string;
  /** Id of the request, with which a reader of the body finds the log line. */
  readonly id: string;
  /** Name of the rule that decided; undefined before that stage. */
  readonly rule: string | undefined;
  /** Values of `Proxy-Authenticate`, with a 407. */
  readonly challenges: readonly string[];
  readonly method: string | undefined;
  /** The connection is kept for another request. */
  readonly keeps: boolean;
}

/**
 * Writes the response that refuses a request: status and why, `Proxy-Status` (RFC
 * 9209), a body in which a person can read the reason, and whether the
 * connection ends (always for CONNECT, RFC 9931).
 */
export function writeRefusal({ failure, agent, id, rule, challenges, method, keeps }: Refusal): Uint8Array {
  const { word, status } = describeFailure(failure.detail);
  const note = failure.note === undefined ? "" : sanitiseNote(failure.note);
  const body = [
    `${status} ${word} (${failure.detail})`,
    sanitiseNote(explainFailure(failure)),
    ...(note === "" ? [] : [`Found: ${note}`]),
    ...(failure.nextHop === undefined ? [] : [`Next hop: ${sanitiseNote(failure.nextHop)}`]),
    `Connection: ${id}`,
    "",
  ].join("\n");
  const proxyStatus = formatProxyStatus({
    proxy: agent,
    error: word,
    details: describeDetails(failure, note),
    ...(failure.nextHop === undefined ? {} : { nextHop: failure.nextHop }),
    ...(failure.receivedStatus === undefined ? {} : { receivedStatus: failure.receivedStatus }),
  });
  const bodyBytes = encoder.encode(body);
  const lines = [
    `HTTP/1.1 ${status} ${writeReasonPhrase(failure, rule)}`,
    `Proxy-Status: ${proxyStatus}`,
    ...challenges.map((challenge) => `Proxy-Authenticate: ${challenge}`),
    ...(failure.retryAfterSeconds === undefined ? [] : [`Retry-After: ${failure.retryAfterSeconds}`]),
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${bodyBytes.length}`,
    "Cache-Control: no-store",
    ...(keeps ? [] : ["Connection: close"]),
    "",
    "",
  ];
  const head = encoder.encode(lines.join("\r\n"));
  // RFC 9110 §9.3.2: the response to HEAD has no body.
  return method === "HEAD" ? head : Buffer.concat([head, bodyBytes]);
}

/** The precise reason, the limit that was reached, and what was found. */
function describeDetails({ detail, limit }: Failure, note: string): string {
  const reason = limit === undefined ? detail : `${detail} ${limit}`;
  return note === "" ? reason : `${reason}: ${note}`;
}

/** Notes quote peers, so only printable ASCII is kept, up to 200 characters. */
function sanitiseNote(note: string): string {
  return note.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 200);
}

/** Whether the client's connection can carry another request after this failure. */
export function allowsNext({ detail }: Failure, head: RequestHead | undefined): boolean {
  // The client can show another certificate only on another connection.
  if (describeFailure(detail).word === "http_request_error" || detail === "certificate_required") return false;
  // No part of the request is left unread.
  return head !== undefined && frameRequest(head).kind === "none" && allowsNextRequest(head);
}
