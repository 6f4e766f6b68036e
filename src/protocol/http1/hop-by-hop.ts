import { type Field, type Fields, getTokens } from "./fields.ts";

/**
 * Why a message's hop-by-hop fields cannot be told from the others.
 *
 * - `bad_connection`: Connection is no list, or one of more than 256 elements.
 * - `connection_names_framing`: Connection nominates Content-Length or Host. A
 *   proxy that obeyed would make another message of it, with another end or for
 *   somebody else, and one before us may have.
 */
export type HopByHopError = "bad_connection" | "connection_names_framing";

export type HopByHopResult =
  { readonly kind: "done"; readonly fields: Fields } | { readonly kind: "bad"; readonly code: HopByHopError };

/**
 * Always for one hop only (RFC 9110 §7.6.1, §11.7). `proxy` is no field of any
 * standard, but CGI programs take it for a setting (CVE-2016-5385).
 */
const hopByHop: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy",
  "proxy-authenticate",
  "proxy-authentication-info",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/** A bit for each length that a name of these has, modulo 32. */
const hopByHopLengths = [...hopByHop].reduce((mask, { length }) => mask | (1 << (length & 31)), 0);

/** Nominating one of these is an attack on where the message ends or whom it is for, or indistinguishable from one. */
const framing: ReadonlySet<string> = new Set(["content-length", "host"]);

/**
 * Meant for all recipients: RFC 9110 §7.6.1 forbids nominating such fields, and
 * a proxy that obeyed would let a client take from the origin what it relies on.
 * They stay. Servers do nominate Trailer, which goes with the trailers.
 */
const endToEnd: ReadonlySet<string> = new Set([
  "age",
  "authorization",
  "cache-control",
  "content-encoding",
  "content-range",
  "content-type",
  "cookie",
  "date",
  "etag",
  "expect",
  "expires",
  "forwarded",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "last-modified",
  "location",
  "max-forwards",
  "pragma",
  "proxy-status",
  "range",
  "set-cookie",
  "trailer",
  "vary",
  "via",
  "www-authenticate",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-proto",
]);

/**
 * Gives the fields that go on to the next hop (RFC 9110 §7.6.1): all but the
 * hop-by-hop ones and those that Connection nominates. Content-Length stays;
 * Transfer-Encoding, TE and Upgrade go, and whoever forwards says them anew.
 * Trailer stays, since trailers are passed on.
 */
export function stripHopByHop(fields: Fields): HopByHopResult {
  const options = getTokens(fields, "connection");
  if (options === undefined) return { kind: "bad", code: "bad_connection" };
  for (const option of options) if (framing.has(option)) return { kind: "bad", code: "connection_names_framing" };
  const nominated = options.filter((option) => !endToEnd.has(option));
  // Most names are as long as none of those: they need not be looked up.
  const lengths = nominated.reduce((mask, { length }) => mask | (1 << (length & 31)), hopByHopLengths);
  const kept: Field[] = [];
  for (const field of fields) {
    if ((lengths & (1 << (field.name.length & 31))) !== 0) {
      const lower = field.name.toLowerCase();
      if (hopByHop.has(lower) || nominated.includes(lower)) continue;
    }
    kept.push(field);
  }
  return { kind: "done", fields: kept };
}

/**
 * Fields that mean nothing good in a trailer section: framing, routing,
 * authentication, request modifiers, response control, and what says how to read
 * the content (RFC 9110 §6.5.1).
 */
const neverInTrailers: ReadonlySet<string> = new Set([
  ...hopByHop,
  ...framing,
  ...endToEnd,
  "proxy-agent",
  "retry-after",
  "warning",
]);

/** Gives the trailer fields that may be passed on; the others are dropped, as RFC 9110 §6.5.1 allows. */
export function stripTrailers(trailers: Fields): Fields {
  return trailers.filter(({ name }) => {
    const lower = name.toLowerCase();
    return lower === "etag" || !neverInTrailers.has(lower);
  });
}
