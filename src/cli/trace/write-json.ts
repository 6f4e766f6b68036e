import { formatEndpoint } from "../../address/endpoint.ts";
import { formatJson } from "../../escape-text.ts";
import type { TlsSummary } from "./list-tls-steps.ts";
import type { TraceDescription } from "./list-steps.ts";
import type { TraceRecord } from "./trace-record.ts";
import { formatTraceTarget } from "./trace-request.ts";

/** Writes a trace as one JSON object. Times are milliseconds since the beginning. No key and no credential is in it. */
export function writeTraceJson(record: TraceRecord, description: TraceDescription): string {
  const { request, startedAt, failure, endedAt, wire } = record;
  const { proxy } = request;
  const object = {
    target: formatTraceTarget(request.target),
    proxy: proxy && `${proxy.kind}://${formatEndpoint(proxy.endpoint)}`,
    started_at: new Date(startedAt).toISOString(),
    local: wire && `${wire.local.ip.text} ${wire.local.port}`,
    remote: wire && `${wire.remote.ip.text} ${wire.remote.port}`,
    ok: failure === undefined,
    failure: failure && { stage: failure.stage, at_ms: round(failure.at), text: failure.text },
    ms: round(endedAt),
    proxy_tls: description.proxyTls && formatTls(description.proxyTls),
    tls: description.tls && formatTls(description.tls),
    steps: description.steps.map(({ at, from, to, layer, name, bytes, sealed, fields }) => ({
      at_ms: round(at),
      from,
      to,
      layer,
      name,
      bytes,
      encrypted: layer === "tls" || layer === "http" ? sealed === true : undefined,
      // A list: header fields may have the same name.
      fields: fields.map(({ label, value }) => ({ label, value })),
    })),
    notes: description.notes,
  };
  return `${formatJson(object, 2)}\n`;
}

function formatTls({ version, cipherSuite, group, alpn, handshakeMs }: TlsSummary) {
  const ms = handshakeMs === undefined ? undefined : round(handshakeMs);
  return { version, cipher_suite: cipherSuite, group, alpn, handshake_ms: ms };
}

/** To microseconds. */
function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
