import { decodeLatin1 } from "./byte-reader.ts";
import { readCertificateExpiry } from "./certificate-expiry.ts";
import { parseClientHello } from "./client-hello.ts";
import { EXTENSION } from "./extension.ts";
import { isGrease } from "./iana.ts";
import { computeJa4 } from "./ja4.ts";

/**
 * Reads hellos in their common form for those who note something of every
 * connection: each a whole message, alone in one record. A walk over the bytes
 * that makes next to no objects, a tenth of the work of a watcher; whatever is
 * not of that form is left to a watcher.
 */

/** What the programs of one kind have in common in their hellos. Shared between connections. */
export interface ClientProfile {
  readonly ja4: string;
  readonly alpn: readonly string[];
  readonly earlyData: boolean;
}

export interface ClientHelloOutline {
  readonly serverName: string | undefined;
  readonly profile: ClientProfile;
}

const RECORD_HEADER = 5;
const MESSAGE_HEADER = 4;
const BODY = RECORD_HEADER + MESSAGE_HEADER;
/** Where the length of the session id is: after version and random. */
const SESSION_ID = BODY + 2 + 32;
const TLS13 = 0x0304;
/** The type of a Certificate message. */
const CERTIFICATE = 11;

/**
 * Profiles by what they are made of. Clients are of few kinds, so nearly every
 * one was seen before. Bounded: it starts anew when it is full.
 */
const profiles = new Map<number, { readonly codes: Uint16Array; readonly profile: ClientProfile }>();
const MAX_PROFILES = 1024;
/** Numbers that a profile is made of; no sensible client has more. */
const MAX_CODES = 512;
const MAX_EXTENSIONS = 64;
const codes = new Uint16Array(MAX_CODES);
let count = 0;

/**
 * Reads the outline of a ClientHello that is exactly `bytes`, record header
 * included. Undefined when it is not of the common form, or not valid.
 */
export function outlineClientHello(bytes: Uint8Array): ClientHelloOutline | undefined {
  if (!isWholeMessage(bytes, 1)) return undefined;
  const ciphers = SESSION_ID + 1 + (bytes[SESSION_ID] ?? 0);
  const compression = ciphers + 2 + readCode(bytes, ciphers);
  const extensions = compression + 1 + (bytes[compression] ?? 0);
  if (extensions + 2 + readCode(bytes, extensions) !== bytes.length) return undefined;
  count = 0;
  addCode(readCode(bytes, BODY));
  addCodes(bytes, ciphers + 2, compression);
  const sizeAt = count;
  count += 1;
  let serverName: string | undefined;
  let [versionsAt, signaturesAt, alpnAt] = [0, 0, 0];
  for (let at = extensions + 2, next = 0; at < bytes.length; at = next) {
    const type = readCode(bytes, at);
    next = at + 4 + readCode(bytes, at + 2);
    if (next > bytes.length || count - sizeAt > MAX_EXTENSIONS) return undefined;
    if (!isGrease(type)) insertSorted(type, sizeAt + 1);
    if (type === EXTENSION.supportedVersions) versionsAt = at;
    else if (type === EXTENSION.signatureAlgorithms) signaturesAt = at;
    else if (type === EXTENSION.alpn) alpnAt = at;
    else if (type === EXTENSION.serverName) {
      serverName = readServerName(bytes, at + 4, next);
      if (serverName === undefined) return undefined;
    }
  }
  codes[sizeAt] = count - sizeAt;
  // Always in this order, since some clients shuffle. Absent ones are told by the types.
  if (versionsAt > 0) addCodes(bytes, versionsAt + 5, findEnd(bytes, versionsAt));
  if (signaturesAt > 0) addCodes(bytes, signaturesAt + 6, findEnd(bytes, signaturesAt));
  if (alpnAt > 0) addBytes(bytes, alpnAt + 4, findEnd(bytes, alpnAt));
  const profile = count < MAX_CODES ? findProfile(bytes) : undefined;
  return profile && { serverName, profile };
}

/** What the first words of a server say. */
export interface ServerHelloOutline {
  readonly version: number;
  readonly cipherSuite: number;
  /** Up to TLS 1.2, where it is in clear. */
  readonly alpn: string | undefined;
  readonly resumed: boolean;
  /** Up to TLS 1.2: when the server's certificate ends, in milliseconds since the epoch; undefined when none was sent. */
  readonly certificateExpiry: number | undefined;
}

/**
 * Reads the outline of the ServerHello that `bytes` begin with, and up to TLS
 * 1.2 of the certificate behind it; `client` is the whole hello that it answers.
 * Undefined when it is not of the common form, asks for another ClientHello, or
 * goes on where `bytes` do not.
 */
export function outlineServerHello(bytes: Uint8Array, client: Uint8Array): ServerHelloOutline | undefined {
  const recordEnd = RECORD_HEADER + readCode(bytes, 3);
  const end = BODY + readCode(bytes, 7);
  if (!isHandshakeRecord(bytes, 0) || bytes[5] !== 2 || bytes[6] !== 0 || bytes[BODY] !== 3) return undefined;
  if (end > recordEnd || end > bytes.length || isRetry(bytes)) return undefined;
  const cipher = SESSION_ID + 1 + (bytes[SESSION_ID] ?? 0);
  const extensions = cipher + 3;
  let version = readCode(bytes, BODY);
  let resumed = false;
  let alpn: string | undefined;
  // Up to TLS 1.2 a hello may end before them.
  if (extensions !== end && extensions + 2 + readCode(bytes, extensions) !== end) return undefined;
  for (let at = extensions + 2, next = 0; at < end; at = next) {
    const type = readCode(bytes, at);
    next = findEnd(bytes, at);
    if (next > end) return undefined;
    if (type === EXTENSION.supportedVersions) version = readCode(bytes, at + 4);
    else if (type === EXTENSION.preSharedKey) resumed = true;
    else if (type === EXTENSION.alpn) {
      // RFC 7301 §3.1: a list of one name, which is not empty.
      if (readCode(bytes, at + 4) !== next - at - 6 || bytes[at + 6] !== next - at - 7 || bytes[at + 6] === 0)
        return undefined;
      alpn = decodeLatin1(bytes, at + 7, next);
    }
  }
  const cipherSuite = readCode(bytes, cipher);
  if (version === TLS13)
    return end === recordEnd
      ? { version, cipherSuite, alpn: undefined, resumed, certificateExpiry: undefined }
      : undefined;
  if (version > TLS13) return undefined;
  if (repeatsSessionId(bytes, client))
    return { version, cipherSuite, alpn, resumed: true, certificateExpiry: undefined };
  const expiry = findCertificateExpiry(bytes, end, recordEnd);
  return expiry && { version, cipherSuite, alpn, resumed: false, certificateExpiry: expiry.time };
}

/** RFC 5246 §7.4.1.3: a session is resumed by repeating its id. */
function repeatsSessionId(server: Uint8Array, client: Uint8Array): boolean {
  const length = server[SESSION_ID] ?? 0;
  if (length === 0 || length !== client[SESSION_ID]) return false;
  for (let at = SESSION_ID + 1; at <= SESSION_ID + length; at += 1) if (server[at] !== client[at]) return false;
  return true;
}

/** Looks whether the message after the ServerHello is a Certificate, in the same record or the next. Undefined when that cannot be told. */
function findCertificateExpiry(
  bytes: Uint8Array,
  helloEnd: number,
  recordEnd: number,
): { readonly time: number | undefined } | undefined {
  let [at, end] = [helloEnd, recordEnd];
  if (helloEnd === recordEnd) {
    at += RECORD_HEADER;
    end = at + readCode(bytes, at - 2);
    if (at >= bytes.length) return undefined;
    if (!isHandshakeRecord(bytes, recordEnd)) return { time: undefined };
  }
  if (at >= bytes.length) return undefined;
  if (bytes[at] !== CERTIFICATE) return { time: undefined };
  // Type and length of the message, length of the list, length of the first certificate.
  const start = at + MESSAGE_HEADER + 3 + 3;
  const time = readCertificateExpiry(bytes, start, Math.min(end, bytes.length));
  return time === undefined ? undefined : { time };
}

function isHandshakeRecord(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === 0x16 && bytes[at + 1] === 3 && readCode(bytes, at + 3) <= 1 << 14;
}

/** Whether `bytes` are one record that holds one handshake message of that type, and nothing else. */
function isWholeMessage(bytes: Uint8Array, type: number): boolean {
  return (
    isHandshakeRecord(bytes, 0) &&
    RECORD_HEADER + readCode(bytes, 3) === bytes.length &&
    bytes[5] === type &&
    bytes[6] === 0 &&
    BODY + readCode(bytes, 7) === bytes.length &&
    bytes[BODY] === 3
  );
}

/** The random of a HelloRetryRequest begins like this (RFC 8446 §4.1.3), and another one once in 2^32. */
function isRetry(bytes: Uint8Array): boolean {
  return readCode(bytes, BODY + 2) === 0xcf21 && readCode(bytes, BODY + 4) === 0xad74;
}

/** The profile that the codes make, which a hello of the same codes has; undefined when the hello is not valid. */
function findProfile(bytes: Uint8Array): ClientProfile | undefined {
  let key = count;
  for (let index = 0; index < count; index += 1) key = (Math.imul(key, 31) + (codes[index] ?? 0)) | 0;
  const found = profiles.get(key);
  if (found !== undefined && isSame(found.codes)) return found.profile;
  const parsed = parseClientHello(bytes.slice(BODY));
  if (parsed.kind === "bad") return undefined;
  const { alpn, earlyData } = parsed.value;
  const profile = { ja4: computeJa4(parsed.value), alpn, earlyData };
  if (profiles.size >= MAX_PROFILES) profiles.clear();
  profiles.set(key, { codes: codes.slice(0, count), profile });
  return profile;
}

function isSame(other: Uint16Array): boolean {
  if (other.length !== count) return false;
  for (let index = 0; index < count; index += 1) if (other[index] !== codes[index]) return false;
  return true;
}

/** Clients that shuffle their extensions are of one kind all the same. */
function insertSorted(code: number, from: number): void {
  let at = count;
  for (; at > from && (codes[at - 1] ?? 0) > code; at -= 1) codes[at] = codes[at - 1] ?? 0;
  codes[at] = code;
  count += 1;
}

/** What does not fit is not kept, but counted: the hello is then of no use here. */
function addCode(code: number): void {
  codes[count] = code;
  count += 1;
}

/** The codes between two offsets, without GREASE, which is another with every connection. The place before them holds their number. */
function addCodes(bytes: Uint8Array, start: number, end: number): void {
  const sizeAt = count;
  count += 1;
  for (let at = start; at + 1 < end && count < MAX_CODES; at += 2) {
    const code = readCode(bytes, at);
    if (!isGrease(code)) addCode(code);
  }
  codes[sizeAt] = count - sizeAt;
}

function addBytes(bytes: Uint8Array, start: number, end: number): void {
  for (let at = start; at < end && count < MAX_CODES; at += 1) addCode(bytes[at] ?? 0);
}

/** The end of an extension that begins at an offset. */
function findEnd(bytes: Uint8Array, at: number): number {
  return at + 4 + readCode(bytes, at + 2);
}

/** RFC 6066 §3: one name, of visible ASCII. */
function readServerName(bytes: Uint8Array, start: number, end: number): string | undefined {
  const nameAt = start + 5;
  if (start + 2 + readCode(bytes, start) !== end || bytes[start + 2] !== 0) return undefined;
  if (nameAt + readCode(bytes, start + 3) !== end || nameAt === end) return undefined;
  for (let at = nameAt; at < end; at += 1) if ((bytes[at] ?? 0) <= 0x20 || (bytes[at] ?? 0) >= 0x7f) return undefined;
  return decodeLatin1(bytes, nameAt, end);
}

function readCode(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
