import { formatEndpoint } from "../../address/endpoint.ts";
import type { TlsFailure } from "../../net/runtime/tls-error.ts";
import type { Hop } from "../../proxy/route/hop.ts";
import { formatTraceTarget, type TraceRequest } from "./trace-request.ts";

/** What BoringSSL says of a peer whose first bytes are no TLS. */
const notTls: ReadonlySet<string> = new Set(["wrong_version_number", "http_request", "https_proxy_request"]);

/** Why a handshake failed, and what to try where no TLS is spoken. */
export function explainHandshake(
  { note }: TlsFailure,
  stage: "tls" | "proxy-tls",
  { target, proxy }: TraceRequest,
): string {
  if (!notTls.has(note)) return `${note.slice(0, 1).toUpperCase()}${note.slice(1)}`;
  return stage === "tls"
    ? `The server does not speak TLS. Try ${formatTraceTarget({ ...target, scheme: "http" })}`
    : `The proxy does not speak TLS. Try --proxy ${proxy === undefined ? "" : writeProxy({ ...proxy, kind: "http" }, "")}`;
}

/** A proxy as `--proxy` takes it. */
export function writeProxy({ kind, endpoint }: Hop, userinfo: string): string {
  return `${kind}://${userinfo}${formatEndpoint(endpoint)}`;
}

/** What to try when plain HTTP is answered with TLS; undefined for anything else. */
export function explainAnswer(bytes: Uint8Array, { target }: TraceRequest): string | undefined {
  return isTlsRecord(bytes)
    ? `The server speaks TLS. Try ${formatTraceTarget({ ...target, scheme: "https" })}`
    : undefined;
}

/** Whether bytes begin like a record of TLS that is an alert or a handshake (RFC 8446 §5.1). */
function isTlsRecord(bytes: Uint8Array): boolean {
  return (bytes[0] === 0x15 || bytes[0] === 0x16) && bytes[1] === 3;
}
