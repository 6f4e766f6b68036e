import { domainToASCII, domainToUnicode } from "node:url";
import { type Ip, parseIp } from "./ip.ts";

/** The host that a connection goes to: an address, or a name to resolve. Canonical: equal hosts have equal text. */
export type Host =
  /** `text` is the canonical address without brackets. */
  | { readonly kind: "ip"; readonly ip: Ip; readonly text: string }
  /**
   * `text` is lower case ASCII without a trailing dot, at most 253 characters.
   * `absolute` when a dot was written at its end: no search list applies (RFC 1034 §3.1).
   */
  | { readonly kind: "name"; readonly text: string; readonly absolute?: true };

const problems = {
  empty: "the host is empty",
  bad_character: "a host has only letters, digits, hyphens, underscores and dots",
  zone_id: "an IPv6 address with a zone id means something on one machine only",
  bad_ipv6: "an IPv6 address is written in brackets, as in [2001:db8::1]",
  ambiguous_ipv4:
    "an IPv4 address is written as four decimal numbers, as in 192.0.2.1; other numbers are read differently by different programs",
  empty_label: "a name has no empty part between its dots, and at most one dot at its end",
  label_too_long: "a part of a name has at most 63 characters",
  name_too_long: "a name has at most 253 characters",
  bad_label: "a part of a name that begins with xn-- is valid IDNA",
} as const;

/** Why a text is not a host. */
export type HostErrorCode = keyof typeof problems;

export type HostResult =
  { readonly ok: true; readonly host: Host } | { readonly ok: false; readonly code: HostErrorCode };

/** Limit of RFC 1035 §2.3.4 for the text form: 255 octets on the wire less the first length and the root. */
const MAX_NAME = 253;
const MAX_LABEL = 63;

/**
 * The one canonicaliser. Reads the host part of an authority (RFC 3986 §3.2.2):
 * an IPv6 address in brackets, a strict dotted quad, or a name. Rules judge the
 * text that is dialled. DNS allows a hyphen or an underscore anywhere in a label
 * (RFC 2181 §11), and so do resolvers.
 *
 * Stricter than the URI grammar, on purpose: no percent-encoding, no sub-delims
 * and no raw U-labels, so that no two parsers can disagree about a host.
 */
export function parseHost(text: string): HostResult {
  if (text === "") return refuse("empty");
  if (text.startsWith("[")) return parseBracketed(text);
  if (/[^A-Za-z0-9._:-]/.test(text)) return refuse("bad_character");
  if (text.includes(":")) return refuse("bad_ipv6");
  const rooted = text.endsWith(".");
  const name = (rooted ? text.slice(0, -1) : text).toLowerCase();
  if (endsInNumber(name)) {
    // Resolvers read "127.0.0.1." as a name, URL parsers as an address.
    const ip = rooted ? undefined : parseIp(name);
    return ip ? { ok: true, host: hostFromIp(ip) } : refuse("ambiguous_ipv4");
  }
  const code = findNameProblem(name);
  return code ? refuse(code) : { ok: true, host: { kind: "name", text: name, ...(rooted && { absolute: true }) } };
}

/**
 * Reads a host that a person wrote, in a configuration or on a command line:
 * as `parseHost`, and also U-labels (`bücher.example`, mapped by UTS #46) and
 * IPv6 addresses without brackets. Never for what a peer sent.
 */
export function toAsciiHost(text: string): HostResult {
  const bare = text.includes(":") ? parseIp(text) : undefined;
  if (bare) return { ok: true, host: hostFromIp(bare) };
  if (!/[^\0-\x7f]/.test(text)) return parseHost(text);
  if (/[^A-Za-z0-9._\u0080-\uffff-]/.test(text)) return refuse("bad_character");
  // Each character needs one in ASCII at least, and to encode many takes the square of the time.
  if (text.length > MAX_NAME) return refuse("name_too_long");
  const ascii = domainToASCII(text);
  if (ascii === "") return refuse("bad_label");
  const result = parseHost(ascii);
  // Full-width digits map to ASCII digits; they make no address.
  return result.ok && result.host.kind === "ip" ? refuse("ambiguous_ipv4") : result;
}

/** The host that is this address. */
export function hostFromIp(ip: Ip): Host {
  return { kind: "ip", ip, text: ip.text };
}

/** For the resolver: with the dot at the end of an absolute name. */
export function formatName(host: Host): string {
  return host.kind === "name" && host.absolute === true ? `${host.text}.` : host.text;
}

/** What `code` means, for people: a clause without capital or full stop. */
export function describeHostError(code: HostErrorCode): string {
  return problems[code];
}

function parseBracketed(text: string): HostResult {
  if (!text.endsWith("]")) return refuse("bad_ipv6");
  const inner = text.slice(1, -1);
  const ip = inner.includes(":") ? parseIp(inner) : undefined;
  if (ip) return { ok: true, host: hostFromIp(ip) };
  return refuse(/^[0-9A-Fa-f:.]+%/.test(inner) ? "zone_id" : "bad_ipv6");
}

/**
 * Whether some resolver or URL parser would read the name as an IPv4 address:
 * the "ends in a number" rule of the WHATWG URL standard, which also covers the
 * short, octal and hexadecimal forms of inet_aton. No top-level domain is numeric.
 */
function endsInNumber(name: string): boolean {
  return /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/.test(name);
}

function findNameProblem(name: string): HostErrorCode | undefined {
  if (name.length > MAX_NAME) return "name_too_long";
  for (const label of name.split(".")) {
    if (label === "") return "empty_label";
    if (label.length > MAX_LABEL) return "label_too_long";
    if (label.startsWith("xn--") && !isALabel(label)) return "bad_label";
  }
  return undefined;
}

/** RFC 5890 §2.3.2.1: an A-label is what its own U-label encodes to. */
function isALabel(label: string): boolean {
  const unicode = domainToUnicode(label);
  return unicode !== "" && unicode !== label && domainToASCII(unicode) === label;
}

function refuse(code: HostErrorCode): HostResult {
  return { ok: false, code };
}
