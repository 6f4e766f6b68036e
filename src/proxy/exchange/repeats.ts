import { showsConnectionAuth } from "../../protocol/http1/persistence.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import type { Repeats } from "./hedge.ts";
import { MAX_KEPT } from "./upload.ts";

/** Methods that only ask (RFC 9110 §9.2.1, RFC 4918, 3253, 5323): to send them twice at once does no harm. */
const safe: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH"]);

/** Methods that may be repeated without the client's doing (RFC 9110 §9.2.2). */
const idempotent: ReadonlySet<string> = new Set([...safe, "PUT", "DELETE"]);

/** Methods with which content means nothing (RFC 9110 §9.3.1, §9.3.2, §9.3.5): some servers do not read it, and take it for the next request. */
const withoutContent: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE"]);

/** Whether a request has content that its receiver may not read. */
export function hasOddContent({ head, framing }: Pick<ForwardRequest, "head" | "framing">): boolean {
  const hasContent = framing.kind === "chunked" || (framing.kind === "length" && framing.length > 0);
  return hasContent && withoutContent.has(head.method);
}

/** Whether a request may be repeated at all. */
export function isIdempotent({ head }: ForwardRequest): boolean {
  return idempotent.has(head.method);
}

/** Whether a request can be told again from what is kept of it. */
export function isRepeatable(request: ForwardRequest): boolean {
  const { framing } = request;
  if (!isIdempotent(request)) return false;
  return framing.kind === "none" || (framing.kind === "length" && framing.length <= MAX_KEPT);
}

/** Whether a request may be sent to another member of a pool although one has it. */
export function findRepeats({ head, framing, fields, upgrade }: ForwardRequest): Repeats {
  if (framing.kind !== "none" || upgrade !== undefined || showsConnectionAuth(fields)) return "never";
  if (safe.has(head.method)) return "beside";
  return idempotent.has(head.method) ? "instead" : "never";
}
