import { CONNECTION, EXPECT, HOST } from "../../protocol/http1/field-names.ts";
import type { FieldLookup } from "../../protocol/http1/fields.ts";
import type { HeadLimits } from "../../protocol/http1/head-parser.ts";
import { frameRequest } from "../../protocol/http1/message-framing.ts";
import { createRequestHeadParser, type RequestHead, type RequestHeadError } from "../../protocol/http1/request-head.ts";
import type { Parsed } from "../../protocol/parsed.ts";

/** A request, with the whole of its body. */
export interface ServedRequest {
  readonly head: RequestHead;
  /** From an absolute target, or else from the Host field. */
  readonly host: string | undefined;
  /** Path and query. */
  readonly path: string;
  /** A copy; empty without a body. */
  readonly body: Uint8Array<ArrayBuffer>;
  /** Whether the connection may be kept for another request. */
  readonly keeps: boolean;
}

export type ServedRequestError = RequestHeadError | "bad_framing" | "body_too_large" | "bad_host";

export const HEAD_LIMITS: HeadLimits = { maxBytes: 16 * 1024, maxFields: 100 };
/** Bytes of a body at most. A chunked one is refused: no client of the sidecar needs one. */
export const MAX_BODY_BYTES = 64 * 1024;

/**
 * Makes the parser of one request, which may arrive in parts. `whenAwaited` is
 * called when the client waits for leave to send its body (RFC 9110 §10.1.1).
 */
export function createServedRequestParser(
  whenAwaited: () => void = () => {},
): (bytes: Uint8Array) => Parsed<ServedRequest, ServedRequestError> {
  const parser = createRequestHeadParser(HEAD_LIMITS);
  let parsed: Parsed<RequestHead, RequestHeadError> = { kind: "more" };
  let isAwaited = true;
  return (bytes) => {
    if (parsed.kind !== "done") parsed = parser.parse(bytes);
    if (parsed.kind !== "done") return parsed;
    const { value: head, used } = parsed;
    const framing = frameRequest(head);
    if (framing.kind === "bad" || framing.kind === "chunked") return { kind: "bad", code: "bad_framing", at: used };
    const length = framing.kind === "length" ? framing.length : 0;
    if (length > MAX_BODY_BYTES) return { kind: "bad", code: "body_too_large", at: used };
    if (bytes.length < used + length) {
      if (isAwaited && bytes.length === used && awaitsContinue(head)) whenAwaited();
      isAwaited = false;
      return { kind: "more" };
    }
    const request = readRequest(head, new Uint8Array(bytes.subarray(used, used + length)));
    return request === undefined
      ? { kind: "bad", code: "bad_host", at: 0 }
      : { kind: "done", value: request, used: used + length };
  };
}

/** RFC 9112 §3.2: HTTP/1.1 requires one Host field, HTTP/1.0 none. */
function readRequest(head: RequestHead, body: Uint8Array<ArrayBuffer>): ServedRequest | undefined {
  const field = head.fields.getOne(HOST);
  if (field.kind === "many" || (field.kind === "none" && head.version === "1.1")) return undefined;
  const closes = head.fields.getAll(CONNECTION).some((value) => /(?:^|[\s,])close(?:$|[\s,])/i.test(value));
  return { head, ...readTarget(head.target, field), body, keeps: head.version === "1.1" && !closes };
}

function awaitsContinue({ fields, version }: RequestHead): boolean {
  return version === "1.1" && fields.getAll(EXPECT).some((value) => /^100-continue$/i.test(value));
}

function readTarget(target: string, field: FieldLookup): { host: string | undefined; path: string } {
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(target);
  if (absolute === null) return { host: field.kind === "one" ? field.value : undefined, path: target };
  const rest = absolute[2] ?? "";
  return { host: absolute[1], path: rest.startsWith("/") ? rest : `/${rest}` };
}

/** Known methods, case-sensitive (RFC 9110 §9.1): the runtime turns any other into `GET`. */
const methods: ReadonlySet<string> = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]);

/** The request as a `Request`; or why there is none: an unknown method, or a target that is no path. */
export function toWebRequest({ head, host, path, body }: ServedRequest): Request | "bad_target" | "method_not_known" {
  if (!methods.has(head.method)) return "method_not_known";
  if (!path.startsWith("/")) return "bad_target";
  // The host of the URL means nothing: the Host field has what the client sent.
  const url = URL.parse(`http://localhost${path}`);
  if (url === null || url.host !== "localhost") return "bad_target";
  const headers = new Headers();
  for (const { name, value } of head.fields) if (name.toLowerCase() !== "host") headers.append(name, value);
  if (host !== undefined) headers.set("Host", host);
  // The class refuses a body of GET and HEAD, which means nothing (RFC 9110 §9.3.1).
  const carries = body.length > 0 && head.method !== "GET" && head.method !== "HEAD";
  return new Request(url.href, { method: head.method, headers, ...(carries && { body }) });
}
