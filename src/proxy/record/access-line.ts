import type { DescribedTls } from "../tunnel/inside-facts.ts";
import type { AccessField, TlsField } from "./access-fields.ts";
import type { AccessRecord } from "./access-record.ts";
import { cutText, escapeText } from "../../escape-text.ts";

/** UTF-16 code units of one value in a line: more than any host name, and a bound for what peers make up. */
const VALUE_LIMIT = 512;

/** A value of the human form that needs no quotes: nothing in it can be taken for another column. */
const unquoted = /^[\p{L}\p{N}\p{M}.:@_[\]+*/>~-]+$/u;

/** One line of JSON without the line end: snake_case keys in a fixed order, absent where nothing is known. */
export function formatJsonLine(record: AccessRecord): string {
  const line = JSON.stringify({
    time: record.time,
    id: record.id,
    stage: record.stage,
    listener: record.listener,
    client: record.client,
    user: bound(record.user),
    parameters: record.parameters,
    protocol: record.protocol,
    method: bound(record.method),
    scheme: record.scheme,
    target: bound(record.target),
    dialled: bound(record.dialled),
    rule: bound(record.rule),
    reported: record.reported,
    reported_rule: bound(record.reportedRule),
    route: bound(record.route),
    member: bound(record.member),
    attempts: record.attempts,
    status: record.status,
    error: record.error,
    detail: record.detail,
    limit: record.limit,
    note: bound(record.note),
    next_hop: bound(record.nextHop),
    received_status: record.receivedStatus,
    inside: record.inside,
    tls: record.tls && formatTlsFields(record.tls),
    end: record.end,
    bytes_up: record.bytesUp,
    bytes_down: record.bytesDown,
    ms: record.ms,
    stage_ms: record.stageMs,
  } satisfies Record<AccessField, unknown>);
  return escapeText(line);
}

/** What a TLS handshake showed, in the keys of the JSON form. */
export function formatTlsFields(tls: DescribedTls) {
  return {
    sni: tls.sni,
    alpn: tls.alpn,
    alpn_chosen: tls.alpnChosen,
    version: tls.version,
    cipher: tls.cipher,
    resumed: tls.resumed,
    ja4: tls.ja4,
    ja3: tls.ja3,
    certificate_expires: tls.certificateExpires,
    handshake_ms: tls.handshakeMs,
    alert: tls.alert,
  } satisfies Record<TlsField, unknown>;
}

/**
 * One line for people, without the line end, in local time:
 * `12:03:44 200 alice 10.0.0.9 → example.org:443 via corp 1.2 MB↑ 3.4 MB↓ 12.3 s closed [k3v9q1-7]`.
 */
export function formatTextLine(record: AccessRecord): string {
  const parts = [
    formatClock(record.time),
    String(record.status ?? "---").padEnd(3),
    quote(record.user ?? "-").padEnd(8),
    stripPort(record.client).padEnd(15),
    "→",
    ...(record.method === undefined || record.method === "CONNECT" ? [] : [quote(record.method)]),
    quote(record.target ?? "-"),
  ];
  if (record.route !== undefined && record.route !== "direct")
    parts.push("via", quoteRoute(record.member ?? record.route));
  if (record.attempts !== undefined && record.attempts > 1) parts.push(`(attempt ${record.attempts})`);
  for (const [name, value] of Object.entries(record.parameters ?? {})) parts.push(`${name}=${value}`);
  if (record.inside !== undefined) parts.push(...describeInside(record));
  if (record.end !== undefined || record.bytesUp + record.bytesDown > 0) {
    parts.push(`${formatBytes(record.bytesUp)}↑`, `${formatBytes(record.bytesDown)}↓`);
  }
  parts.push(formatDuration(record.ms));
  if (record.end !== undefined) parts.push(record.end);
  if (record.detail !== undefined) parts.push(describeRefusal(record));
  if (record.reported !== undefined) parts.push("reported", record.reported, "by", quote(record.reportedRule ?? "-"));
  parts.push(`[${record.id}]`);
  return parts.join(" ");
}

/** Bytes in decimal units, as network figures are: `999 B`, `1.2 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  // 999.95 would be shown as 1000.0.
  while (value >= (unit === 0 ? 1000 : 999.95) && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}

/** Milliseconds in the unit that reads best: `0.4 ms`, `12.3 s`, `2m 05s`, `3h 12m`. */
export function formatDuration(ms: number): string {
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  return `${Math.floor(seconds / 3600)}h ${pad(Math.floor((seconds % 3600) / 60))}m`;
}

/** `TLS 1.3`, or what else is spoken; the server name only where it is not the target's. */
function describeInside({ inside, tls, target }: AccessRecord): string[] {
  if (inside !== "tls") return [`(${inside})`];
  const other = tls?.sni !== undefined && tls.sni.toLowerCase() !== target?.slice(0, target.lastIndexOf(":"));
  return [tls?.version ?? "TLS", ...(other ? ["for", quote(tls.sni ?? "")] : [])];
}

/** `error` and `detail` are the same word more often than not; it is said once then. */
function describeRefusal(record: AccessRecord): string {
  const word = record.error === record.detail ? `${record.detail}` : `${record.detail} (${record.error})`;
  const reason = record.limit === undefined ? word : `${word} by ${record.limit}`;
  const about = record.nextHop === undefined ? "" : ` at ${quote(record.nextHop)}`;
  return `${reason}${about}${record.note === undefined ? "" : `: ${quoteAlways(record.note)}`}`;
}

/** The local time of a moment in ISO 8601: `12:03:44`. */
export function formatClock(time: string): string {
  const date = new Date(time);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

function stripPort(client: string): string {
  return client.slice(0, client.lastIndexOf(":"));
}

function quote(value: string): string {
  return unquoted.test(value) ? cutText(value, VALUE_LIMIT) : quoteAlways(value);
}

/** The names of a chain are joined by ` > `, which needs no quotes. */
function quoteRoute(route: string): string {
  return route.split(" > ").map(quote).join(" > ");
}

function quoteAlways(value: string): string {
  return escapeText(JSON.stringify(cutText(value, VALUE_LIMIT)));
}

/** A value of a line, cut where it is too long. */
export function bound(value: string | undefined): string | undefined {
  return value === undefined ? undefined : cutText(value, VALUE_LIMIT);
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}
