import { AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION } from "../../protocol/http1/field-names.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import { formatAuthority } from "./origin-head.ts";

/** What a client may not see again of its own request: credentials (RFC 9110 §9.3.8). */
const sensitive: ReadonlySet<number> = new Set([AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION]);

/**
 * Writes our own answer to a TRACE or OPTIONS that may not go any further, since
 * its Max-Forwards is 0 (RFC 9110 §7.6.2): the request as it came here, or an
 * empty success.
 */
export function answerHere(request: ForwardRequest, keeps: boolean): Uint8Array {
  const connection = keeps ? "" : "Connection: close\r\n";
  const body = request.head.method === "TRACE" ? Buffer.from(describeRequest(request), "latin1") : Buffer.alloc(0);
  const type = body.length > 0 ? "Content-Type: message/http\r\n" : "";
  const head = `HTTP/1.1 200 OK\r\n${type}Content-Length: ${body.length}\r\n${connection}\r\n`;
  return Buffer.concat([Buffer.from(head, "latin1"), body]);
}

function describeRequest({ head, scheme, target, path }: ForwardRequest): string {
  const uri = `${scheme}://${formatAuthority(scheme, target)}${path}`;
  const shown = head.fields.select((id) => !sensitive.has(id));
  const lines = Array.from(shown, ({ name, value }) => `${name}: ${value}\r\n`);
  return `${head.method} ${uri} HTTP/${head.version}\r\n${lines.join("")}\r\n`;
}
