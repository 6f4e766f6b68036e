import { decodeLatin1 } from "../../http1/octets.ts";
import { readUint16 } from "./byte-reader.ts";

/** What a client speaks, as far as its first bytes tell; `more` when they are too few to say. */
export type FirstBytes = "tls" | "http" | "ssh" | "smtp" | "unknown" | "more";

/** Enough for the longest method that is looked for, a space, and `https://`. */
const LOOKED_AT_BYTES = 48;

/** RFC 9112 §3: a method, a space, and a target: a path, `*`, an address of HTTP, or with CONNECT anything. The preface of HTTP/2 is of that form too. Other protocols of lines also begin with an upper-case word. */
const HTTP = /^(?:CONNECT [!-~]|[A-Z][A-Z-]{0,31} (?:\/|\* |[Hh][Tt][Tt][Pp][Ss]?:\/\/))/;
const HTTP_BEGUN = /^[A-Z][A-Z-]{0,31}(?: (?:\*|[Hh](?:[Tt](?:[Tt](?:[Pp][Ss]?(?::\/?)?)?)?)?)?)?$/;
const SMTP = /^(?:EHLO|HELO|LHLO)[ \r\n]/i;
/** Words at the beginning, in lower case, that a few bytes may grow into. */
const OTHER_BEGINNINGS = ["ssh-", "ehlo ", "helo ", "lhlo "];

/**
 * Recognises what a client speaks by the first bytes that it sends.
 *
 * - `tls`: a record with the beginning of a ClientHello.
 * - `http`: a request line of HTTP/1, or the preface of HTTP/2.
 * - `ssh`: the line of RFC 4253 §4.2.
 * - `smtp`: EHLO, HELO or LHLO. The server speaks first there.
 *
 * Never `more` once 48 bytes are there.
 */
export function recogniseFirstBytes(bytes: Uint8Array): FirstBytes {
  if (bytes.length === 0) return "more";
  if (bytes[0] === 0x16) return recogniseTls(bytes);
  // All that is looked for in text begins with one.
  if (!isLetter(bytes[0] as number)) return "unknown";
  const text = decodeLatin1(bytes, 0, Math.min(bytes.length, LOOKED_AT_BYTES));
  if (text.startsWith("SSH-")) return "ssh";
  if (SMTP.test(text)) return "smtp";
  if (HTTP.test(text)) return "http";
  const lower = text.toLowerCase();
  if (HTTP_BEGUN.test(text)) return "more";
  for (const beginning of OTHER_BEGINNINGS) if (beginning.startsWith(lower)) return "more";
  return "unknown";
}

function isLetter(octet: number): boolean {
  const lower = octet | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
}

function recogniseTls(bytes: Uint8Array): FirstBytes {
  const { length } = bytes;
  if (length < 2) return "more";
  if (bytes[1] !== 3) return "unknown";
  if (length < 3) return "more";
  if ((bytes[2] ?? 0) > 4) return "unknown";
  if (length < 5) return "more";
  const recordLength = readUint16(bytes, 3);
  // RFC 8446 §5.1: a part of a handshake message is never empty.
  if (recordLength === 0 || recordLength > 1 << 14) return "unknown";
  if (length < 6) return "more";
  return bytes[5] === 1 ? "tls" : "unknown";
}
