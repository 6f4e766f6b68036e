import { CONTENT_LENGTH, encodeLower, TRANSFER_ENCODING } from "./field-names.ts";
import { splitList } from "./field-lists.ts";
import { type Fields, withValue } from "./fields.ts";
import { DIGIT, octetClass } from "./octets.ts";
import type { RequestHead } from "./request-head.ts";
import type { ResponseHead } from "./response-head.ts";

/**
 * How a message tells where its body ends, when it is ambiguous or wrong. None
 * of these may be repaired: two readers that repair differently are how requests
 * are smuggled (RFC 9112 §11.2).
 *
 * - `conflicting_framing`: both Content-Length and Transfer-Encoding.
 * - `repeated_content_length`: more than one line or element of it: in a request
 *   even if they agree, in a response if they do not (RFC 9112 §6.3).
 * - `bad_content_length`: not one to sixteen decimal digits; in a request, a list; a sign.
 * - `content_length_too_large`: past 2^53 - 1.
 * - `bad_transfer_encoding`: anything but one `chunked`.
 * - `transfer_encoding_in_http_1_0`: that version has none (RFC 9112 §6.1).
 * - `body_not_allowed`: a CONNECT or TRACE request with a body (RFC 9110 §9.3.6, §9.3.8).
 */
export type FramingError =
  | "conflicting_framing"
  | "repeated_content_length"
  | "bad_content_length"
  | "content_length_too_large"
  | "bad_transfer_encoding"
  | "transfer_encoding_in_http_1_0"
  | "body_not_allowed";

interface BadFraming {
  readonly kind: "bad";
  readonly code: FramingError;
}

/** What follows a request head. `length` counts octets, 0 to 2^53 - 1. */
export type RequestFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | BadFraming;

/**
 * What follows a response head. After `tunnel` the connection does not speak
 * HTTP any more: a 2xx to CONNECT, or a 101, which is an error for whoever did
 * not ask for it.
 */
export type ResponseFraming = RequestFraming | { readonly kind: "until-close" } | { readonly kind: "tunnel" };

const NONE = { kind: "none" } as const;
const CHUNKED = { kind: "chunked" } as const;
const UNTIL_CLOSE = { kind: "until-close" } as const;
const TUNNEL = { kind: "tunnel" } as const;

/** Tells what follows a request head (RFC 9112 §6.3). */
export function frameRequest(head: Pick<RequestHead, "method" | "version" | "fields">): RequestFraming {
  const framing = readFraming(head.fields, head.version, readOneLength) ?? NONE;
  const bodiless = head.method === "CONNECT" || head.method === "TRACE";
  if (!bodiless || framing.kind === "none" || framing.kind === "bad") return framing;
  // Some clients say "Content-Length: 0" with every method.
  return framing.kind === "length" && framing.length === 0 ? NONE : refuse("body_not_allowed");
}

/**
 * Tells what follows a response head, given the method of its request (RFC 9112
 * §6.3). Wrong framing fields are `bad` even where there is no body, since they
 * would be passed on. A response that has none by its status may still carry
 * framing fields: a 1xx or 204 must lose them, a 304 and an answer to HEAD keep
 * them (RFC 9110 §8.6).
 */
export function frameResponse(
  head: Pick<ResponseHead, "status" | "version" | "fields">,
  requestMethod: string,
): ResponseFraming {
  const status = head.status;
  // RFC 9110 §9.3.6: framing fields of such a response are to be ignored.
  if (requestMethod === "CONNECT" && status >= 200 && status <= 299) return TUNNEL;
  const framing = readFraming(head.fields, head.version, readSameLengths);
  if (framing?.kind === "bad") return framing;
  if (status === 101) return TUNNEL;
  if (requestMethod === "HEAD" || status < 200 || status === 204 || status === 304) return NONE;
  return framing ?? UNTIL_CLOSE;
}

/**
 * Gives the fields of a message that is framed by `frameRequest` or
 * `frameResponse` with at most one Content-Length, in its one spelling: no next
 * reader can add, choose or take `010` for eight.
 */
export function canonicaliseLength(fields: Fields): Fields {
  const first = fields.find(CONTENT_LENGTH);
  if (first < 0 || (fields.isOnce(CONTENT_LENGTH) && isCanonicalAt(fields, first))) return fields;
  return withValue(fields, CONTENT_LENGTH, String(Number.parseInt(fields.valueAt(first), 10)));
}

/** Whether a length is nothing but digits, without zeros in front. */
function isCanonicalAt(fields: Fields, index: number): boolean {
  const start = fields.valueStart(index);
  if (fields.octets[start] === ZERO) return fields.valueEnd(index) - start === 1;
  return readDigits(fields, index) !== NO_LENGTH;
}

type Length = { readonly kind: "length"; readonly length: number } | BadFraming;

/** Reads what the fields say; `undefined` when they say nothing. `readLength` judges the values of Content-Length. */
function readFraming(
  fields: Fields,
  version: "1.0" | "1.1",
  readLength: (fields: Fields) => Length | undefined,
): Exclude<RequestFraming, { kind: "none" }> | undefined {
  if (!fields.has(TRANSFER_ENCODING)) return fields.has(CONTENT_LENGTH) ? readLength(fields) : undefined;
  if (fields.has(CONTENT_LENGTH)) return refuse("conflicting_framing");
  if (version === "1.0") return refuse("transfer_encoding_in_http_1_0");
  const coding = fields.find(TRANSFER_ENCODING);
  // Names of codings compare without regard to case (RFC 9112 §7).
  const isChunked = fields.isOnce(TRANSFER_ENCODING) && fields.isValueAt(coding, chunked);
  return isChunked ? CHUNKED : refuse("bad_transfer_encoding");
}

const chunked = encodeLower("chunked");

function readOneLength(fields: Fields): Length {
  const first = fields.find(CONTENT_LENGTH);
  return fields.isOnce(CONTENT_LENGTH) ? readLengthAt(fields, first) : refuse("repeated_content_length");
}

/** RFC 9112 §6.3: values that are all valid and the same are one. */
function readSameLengths(fields: Fields): Length | undefined {
  const only = fields.isOnce(CONTENT_LENGTH) ? readDigits(fields, fields.find(CONTENT_LENGTH)) : NO_LENGTH;
  if (only !== NO_LENGTH) return { kind: "length", length: only };
  let found: Length | undefined;
  for (const value of fields.getAll(CONTENT_LENGTH)) {
    const elements = splitList(value);
    // An empty element is left out of a list, and is no length.
    if (elements?.length !== value.split(",").length) return refuse("bad_content_length");
    for (const element of elements) {
      const read = readContentLength(element);
      if (read.kind === "bad") return read;
      if (found?.kind === "length" && found.length !== read.length) return refuse("repeated_content_length");
      found = read;
    }
  }
  return found;
}

function readLengthAt(fields: Fields, index: number): Length {
  const length = readDigits(fields, index);
  return length === NO_LENGTH ? readContentLength(fields.valueAt(index)) : { kind: "length", length };
}

const ZERO = 0x30;
const NO_LENGTH = -1;
/** So many digits are exact in a number. */
const MAX_EXACT_DIGITS = 15;

/** Reads a length that is nothing but a few digits, as nearly all are; `NO_LENGTH` for the others. */
function readDigits(fields: Fields, index: number): number {
  const start = fields.valueStart(index);
  const end = fields.valueEnd(index);
  if (end === start || end - start > MAX_EXACT_DIGITS) return NO_LENGTH;
  let length = 0;
  for (let at = start; at < end; at++) {
    const octet = fields.octets[at] as number;
    if (((octetClass[octet] as number) & DIGIT) === 0) return NO_LENGTH;
    length = length * 10 + octet - ZERO;
  }
  return length;
}

/** Sixteen digits hold every length below 2^53 and keep a flood of zeros out. */
function readContentLength(value: string): Length {
  if (!/^[0-9]+$/.test(value)) return refuse("bad_content_length");
  const length = Number(value);
  if (length > Number.MAX_SAFE_INTEGER) return refuse("content_length_too_large");
  return value.length > 16 ? refuse("bad_content_length") : { kind: "length", length };
}

function refuse(code: FramingError): BadFraming {
  return { kind: "bad", code };
}
