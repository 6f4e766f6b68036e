import { HTAB, SP } from "./octets.ts";

/** What a field name means to a proxy; flags, or-ed. */
export type FieldFlags = number;

/**
 * Always for one hop only (RFC 9110 §7.6.1, §11.7). `proxy` is no field of any
 * standard, but CGI programs take it for a setting (CVE-2016-5385).
 */
export const HOP_BY_HOP = 1;
/** To nominate it in Connection is an attack on where the message ends or whom it is for, or looks like one. */
export const NEVER_NOMINATED = 2;
/**
 * Meant for all recipients: RFC 9110 §7.6.1 forbids nominating such fields, and
 * a proxy that obeyed would let a client take from the origin what it relies on.
 * They stay. Servers do nominate Trailer, which goes with the trailers.
 */
export const END_TO_END = 4;
/** Says where the message ends: readers differ about a folded one. */
export const FRAMING = 8;
/**
 * Means nothing good in a trailer section: framing, routing, authentication,
 * request modifiers, response control, and how to read the content (RFC 9110 §6.5.1).
 */
export const NOT_IN_TRAILERS = 16;

/** Any name that is not in the table. */
const OTHER = 0;
/** Ids below 32 have a bit of their own in `Fields.seen`. */
export const CONTENT_LENGTH = 1;
export const TRANSFER_ENCODING = 2;
export const CONNECTION = 3;
export const HOST = 4;
const KEEP_ALIVE = 5;
const PROXY = 6;
export const PROXY_AUTHENTICATE = 7;
const PROXY_AUTHENTICATION_INFO = 8;
export const PROXY_AUTHORIZATION = 9;
const PROXY_CONNECTION = 10;
export const TE = 11;
export const UPGRADE = 12;
export const DATE = 13;
export const VIA = 14;
export const EXPECT = 15;
export const AUTHORIZATION = 16;
export const MAX_FORWARDS = 17;
export const WWW_AUTHENTICATE = 18;
export const PROXY_SUPPORT = 19;
export const PROXY_STATUS = 20;
export const COOKIE = 21;
export const RETRY_AFTER = 22;
export const TRACEPARENT = 23;
const HTTP2_SETTINGS = 24;
/** From here on a name has only flags. */
const FIRST_WITHOUT_ID = 32;

const HOP = HOP_BY_HOP | NOT_IN_TRAILERS;
const WHOM = NEVER_NOMINATED | NOT_IN_TRAILERS;
const ALL = END_TO_END | NOT_IN_TRAILERS;

const withId: readonly (readonly [id: number, name: string, flags: FieldFlags])[] = [
  [CONTENT_LENGTH, "content-length", WHOM | FRAMING],
  [TRANSFER_ENCODING, "transfer-encoding", HOP | FRAMING],
  [CONNECTION, "connection", HOP],
  [HOST, "host", WHOM],
  [KEEP_ALIVE, "keep-alive", HOP],
  [PROXY, "proxy", HOP],
  [PROXY_AUTHENTICATE, "proxy-authenticate", HOP],
  [PROXY_AUTHENTICATION_INFO, "proxy-authentication-info", HOP],
  [PROXY_AUTHORIZATION, "proxy-authorization", HOP],
  [PROXY_CONNECTION, "proxy-connection", HOP],
  [TE, "te", HOP],
  [UPGRADE, "upgrade", HOP],
  [DATE, "date", ALL],
  [VIA, "via", ALL],
  [EXPECT, "expect", ALL],
  [AUTHORIZATION, "authorization", ALL],
  [MAX_FORWARDS, "max-forwards", ALL],
  [WWW_AUTHENTICATE, "www-authenticate", ALL],
  [PROXY_SUPPORT, "proxy-support", 0],
  [PROXY_STATUS, "proxy-status", ALL],
  [COOKIE, "cookie", ALL],
  [RETRY_AFTER, "retry-after", NOT_IN_TRAILERS],
  [TRACEPARENT, "traceparent", 0],
  // RFC 7540 §3.2.1. It goes with an Upgrade that is not passed on.
  [HTTP2_SETTINGS, "http2-settings", HOP],
];

const withoutId: readonly (readonly [name: string, flags: FieldFlags])[] = [
  ["age", ALL],
  ["cache-control", ALL],
  ["content-encoding", ALL],
  ["content-range", ALL],
  ["content-type", ALL],
  // The one that a trailer section may have.
  ["etag", END_TO_END],
  ["expires", ALL],
  ["forwarded", ALL],
  ["if-match", ALL],
  ["if-modified-since", ALL],
  ["if-none-match", ALL],
  ["if-range", ALL],
  ["if-unmodified-since", ALL],
  ["last-modified", ALL],
  ["location", ALL],
  ["pragma", ALL],
  ["proxy-agent", NOT_IN_TRAILERS],
  ["range", ALL],
  ["set-cookie", ALL],
  ["trailer", ALL],
  ["vary", ALL],
  ["warning", NOT_IN_TRAILERS],
  ["x-forwarded-for", ALL],
  ["x-forwarded-host", ALL],
  ["x-forwarded-proto", ALL],
];

interface KnownName {
  readonly lower: Uint8Array;
  readonly id: number;
}

/** Longer ones are in no table. */
const MAX_NAME = 31;

/** Names by their length and first letter: hardly ever two in one place. */
const places: readonly (readonly KnownName[] | undefined)[] = buildNames();

function placeOf(length: number, first: number): number {
  return (length << 5) | (first & 31);
}

/** Id → its flags. */
const flagsOf: Uint8Array = buildFlags();

function buildNames(): readonly (readonly KnownName[] | undefined)[] {
  const table: KnownName[][] = [];
  const add = (name: string, id: number): unknown =>
    (table[placeOf(name.length, name.charCodeAt(0))] ??= []).push({ lower: encodeLower(name), id });
  for (const [id, name] of withId) add(name, id);
  withoutId.forEach(([name], index) => add(name, FIRST_WITHOUT_ID + index));
  return Array.from({ length: placeOf(MAX_NAME, 31) + 1 }, (_, place) => table[place]);
}

function buildFlags(): Uint8Array {
  const flags = new Uint8Array(FIRST_WITHOUT_ID + withoutId.length);
  for (const [id, , of] of withId) flags[id] = of;
  withoutId.forEach(([, of], index) => (flags[FIRST_WITHOUT_ID + index] = of));
  return flags;
}

/** Gives the id of the field name between two offsets, which is a token. */
export function findFieldId(octets: Uint8Array, from: number, to: number): number {
  const length = to - from;
  const known = length > MAX_NAME ? undefined : places[placeOf(length, octets[from] as number)];
  if (known === undefined) return OTHER;
  for (let index = 0; index < known.length; index++) {
    const { lower, id } = known[index] as KnownName;
    if (equalsLower(octets, from, lower)) return id;
  }
  return OTHER;
}

/** Gives the id of a field name as text, which is a token in any case. */
export function findFieldIdOf(name: string): number {
  return findFieldId(encodeLower(name), 0, name.length);
}

/** Whether the name with this id has the flag. */
export function hasFlag(id: number, flag: FieldFlags): boolean {
  return ((flagsOf[id] as number) & flag) !== 0;
}

/** The bits, as in `Fields.seen`, of all ids below 32 that have the flag. */
export function maskOf(flag: FieldFlags): number {
  return withId.reduce((mask, [id, , flags]) => ((flags & flag) === 0 ? mask : mask | (1 << id)), 0);
}

/** Gives the octets of letters and hyphens in lower case, for `isValue`. */
export function encodeLower(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/**
 * Whether the octets at `from` are `lower` in any case. That bit makes a lower
 * case letter of no other octet that may be in a token or a value, and a hyphen of none.
 */
function equalsLower(octets: Uint8Array, from: number, lower: Uint8Array): boolean {
  for (let index = 0; index < lower.length; index++) {
    if (((octets[from + index] as number) | 0x20) !== lower[index]) return false;
  }
  return true;
}

/** Whether the value between two offsets, without white space around it, is this very word in any case. */
export function isValue(octets: Uint8Array, from: number, to: number, lower: Uint8Array): boolean {
  return to - from === lower.length && equalsLower(octets, from, lower);
}

/** SP or HTAB. */
export function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}
