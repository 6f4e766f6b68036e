import { isToken } from "./octets.ts";

/** One member of a `Proxy-Status` field (RFC 9209 §2). */
export interface ProxyStatus {
  /** The name of the proxy that speaks. */
  readonly proxy: string;
  /** An error type of RFC 9209 §2.3: a token. */
  readonly error?: string | undefined;
  /** Who was asked next: a host, `host:port` or the name of an upstream. */
  readonly nextHop?: string | undefined;
  /** The status that the next hop answered with, 100 to 999. */
  readonly receivedStatus?: number | undefined;
  /** For people. Shortened to 256 characters; what is not printable US-ASCII becomes `?`. */
  readonly details?: string | undefined;
}

/** Characters of a string parameter. They may repeat what a stranger sent, and must not fill a head. */
const MAX_STRING_LENGTH = 256;

/**
 * Writes a `Proxy-Status` value as an item of structured fields (RFC 9651
 * §4.1.3): safe to put in a field whatever the texts hold. Throws when `error`
 * is not a token or `receivedStatus` not a status, which is a bug of the caller.
 */
export function formatProxyStatus(status: ProxyStatus): string {
  let text = isStructuredToken(status.proxy) ? status.proxy : formatString(status.proxy);
  if (status.error !== undefined) {
    if (!isStructuredToken(status.error))
      throw new TypeError(`Cannot write Proxy-Status: error "${status.error}" is not a token.`);
    text += `; error=${status.error}`;
  }
  if (status.nextHop !== undefined) text += `; next-hop=${formatString(status.nextHop)}`;
  if (status.receivedStatus !== undefined) {
    const received = status.receivedStatus;
    if (!Number.isInteger(received) || received < 100 || received > 999) {
      throw new RangeError(`Cannot write Proxy-Status: received-status ${received} is not between 100 and 999.`);
    }
    text += `; received-status=${received}`;
  }
  if (status.details !== undefined) text += `; details=${formatString(status.details)}`;
  return text;
}

/** `sf-token` begins with a letter or `*` and may have `:` and `/` (RFC 9651 §3.3.4). */
function isStructuredToken(text: string): boolean {
  return /^[A-Za-z*]/.test(text) && isToken(text.replace(/[:/]/g, "."));
}

/** `sf-string`: printable US-ASCII in quotes, `"` and `\` escaped (RFC 9651 §3.3.3). */
function formatString(text: string): string {
  const short = text.length > MAX_STRING_LENGTH ? `${text.slice(0, MAX_STRING_LENGTH - 3)}...` : text;
  // With the u flag a surrogate pair is one character and becomes one "?".
  return `"${short.replace(/[^\x20-\x7e]/gu, "?").replace(/["\\]/g, "\\$&")}"`;
}
