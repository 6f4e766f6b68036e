import type { AccessRecord } from "./access-record.ts";

/**
 * One line in Squid's native format, without the line end, so that programs that
 * read Squid's `access.log` can read ours. Squid writes the path of a forwarded
 * request, which is not recorded here: it is always `/`.
 */
export function formatSquidLine(record: AccessRecord): string {
  const { method, user, status = 0, ms, bytesDown } = record;
  const seconds = (Date.parse(record.time) / 1000).toFixed(3);
  return [
    seconds,
    String(Math.round(ms)).padStart(6),
    readHost(record.client),
    `${nameResult(record)}/${String(status).padStart(3, "0")}`,
    bytesDown,
    encodeText(method ?? (record.target === undefined ? "NONE" : "CONNECT")),
    writeUrl(record),
    user === undefined ? "-" : encodeText(user),
    nameHierarchy(record),
    "-",
  ].join(" ");
}

/**
 * One line in the combined format of Apache, without the line end, in UTC.
 * Referer and user agent are not recorded, so they are `-`.
 */
export function formatCombinedLine(record: AccessRecord): string {
  const { method, user, status, bytesDown } = record;
  const request = record.target === undefined ? "-" : `${encodeText(method ?? "CONNECT")} ${writeUrl(record)} HTTP/1.1`;
  return [
    readHost(record.client),
    "-",
    user === undefined ? "-" : encodeText(user),
    `[${writeTime(new Date(record.time))}]`,
    `"${request}"`,
    status ?? "-",
    bytesDown === 0 ? "-" : bytesDown,
    '"-" "-"',
  ].join(" ");
}

/** Squid's result code. It has TUNNEL for CONNECT, MISS for what went to an origin, DENIED for what an access rule or a login stopped. */
function nameResult({ target, status, detail, method, end, scheme }: AccessRecord): string {
  if (target === undefined && detail !== undefined && status !== 407 && status !== 403) return "NONE_NONE";
  if (status === 403 || status === 407) return "TCP_DENIED";
  const kind = scheme === undefined && (method === undefined || method === "CONNECT") ? "TCP_TUNNEL" : "TCP_MISS";
  return end === "client_reset" || detail === "client_gone" ? `${kind}_ABORTED` : kind;
}

function nameHierarchy({ dialled, route }: AccessRecord): string {
  if (dialled === undefined) return "HIER_NONE/-";
  return `${route === undefined || route === "direct" ? "HIER_DIRECT" : "FIRSTUP_PARENT"}/${readHost(dialled)}`;
}

function writeUrl({ target, method, scheme: known }: AccessRecord): string {
  if (target === undefined) return "error:invalid-request";
  // Of a request that was refused before it was read the method alone tells that it is none for a tunnel.
  const scheme = known ?? (method === undefined || method === "CONNECT" ? undefined : "http");
  if (scheme === undefined) return encodeText(target);
  const usual = scheme === "http" ? ":80" : ":443";
  return `${scheme}://${encodeText(target.endsWith(usual) ? target.slice(0, -usual.length) : target)}/`;
}

/** The host of `host:port`, without the brackets of IPv6. */
function readHost(address: string): string {
  return address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
}

/** Percent-encodes all that could be taken for another column, or for a second line. */
function encodeText(text: string): string {
  return text.replaceAll(/[^!#$&-Z^-~[\]]/gu, (character) =>
    Buffer.from(character)
      .toHex()
      .toUpperCase()
      .replaceAll(/../g, (digits) => `%${digits}`),
  );
}

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"] as const;

/** `28/Nov/2026:16:43:36 +0000`. */
function writeTime(date: Date): string {
  const two = (value: number) => String(value).padStart(2, "0");
  const day = `${two(date.getUTCDate())}/${MONTHS[date.getUTCMonth()]}/${date.getUTCFullYear()}`;
  return `${day}:${two(date.getUTCHours())}:${two(date.getUTCMinutes())}:${two(date.getUTCSeconds())} +0000`;
}
