import { ByteReader, decodeLatin1, finishBody, type ParsedBody, readUint16, type TlsBadCode } from "./byte-reader.ts";
import type { KeyShare } from "./client-hello.ts";
import { checkExtensions, EXTENSION, findExtension, listExtensions, type TlsExtension } from "./extension.ts";
import { checkItems, checkNumbers, checkSize, SHORT_STRING } from "./vector-checks.ts";

/**
 * A ServerHello, or the HelloRetryRequest that has the same form (RFC 8446
 * §4.1.3 and §4.1.4, RFC 5246 §7.4.1.3): a view like `ClientHello`, valid only
 * as long as the bytes are. Numbers are as on the wire.
 */
export class ServerHello {
  readonly type = "server_hello";
  readonly bytes: Uint8Array;
  /** Offset of the body in `bytes`. */
  readonly start: number;
  /** Offset after the last extension. */
  readonly end: number;
  /** Offset of the cipher suite; before it is the session id. */
  readonly cipherAt: number;
  /** Offset of the first extension; `end` when there is none. */
  readonly extensionsAt: number;
  /** Whether it only asks for another ClientHello, with a share of the group in `keyShare`. */
  readonly helloRetryRequest: boolean;
  /** The version that the server chose. */
  readonly version: number;

  constructor(bytes: Uint8Array, start: number, end: number, cipherAt: number, extensionsAt: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.cipherAt = cipherAt;
    this.extensionsAt = extensionsAt;
    this.helloRetryRequest = isRetryRequest(bytes, start);
    const versionAt = this.#find(EXTENSION.supportedVersions);
    this.version = readUint16(bytes, versionAt === -1 ? start : versionAt);
  }

  /** The version of the hello itself: 0x0303 in TLS 1.3 too. */
  get legacyVersion(): number {
    return readUint16(this.bytes, this.start);
  }

  get random(): Uint8Array {
    return this.bytes.subarray(this.start + RANDOM_AT, this.start + SESSION_ID_AT);
  }

  /** 0 to 32 bytes. In TLS 1.3 it only repeats the client's. */
  get sessionId(): Uint8Array {
    return this.bytes.subarray(this.start + SESSION_ID_AT + 1, this.cipherAt);
  }

  get cipherSuite(): number {
    return readUint16(this.bytes, this.cipherAt);
  }

  get compressionMethod(): number {
    return this.bytes[this.cipherAt + 2] ?? 0;
  }

  /** All extensions in clear, in wire order. In TLS 1.3 most others follow encrypted. */
  get extensions(): readonly TlsExtension[] {
    return listExtensions(this.bytes, this.extensionsAt, this.end);
  }

  /** The protocol chosen up to TLS 1.2, one character for each byte; in TLS 1.3 it is encrypted. */
  get alpn(): string | undefined {
    const at = this.#find(EXTENSION.alpn);
    if (at === -1) return undefined;
    const nameAt = at + 3;
    return decodeLatin1(this.bytes, nameAt, nameAt + (this.bytes[nameAt - 1] ?? 0));
  }

  /** TLS 1.3: the group chosen; `length` is 0 in a HelloRetryRequest. */
  get keyShare(): KeyShare | undefined {
    const at = this.#find(EXTENSION.keyShare);
    if (at === -1) return undefined;
    const group = readUint16(this.bytes, at);
    return { group, length: this.helloRetryRequest ? 0 : readUint16(this.bytes, at + 2) };
  }

  /** TLS 1.3 resumption: which of the client's `pskIdentities` was taken, from 0. */
  get pskIndex(): number | undefined {
    return this.#readUint16(EXTENSION.preSharedKey);
  }

  get cookieLength(): number | undefined {
    return this.#readUint16(EXTENSION.cookie);
  }

  /** Up to TLS 1.2: a NewSessionTicket is to follow. */
  get sessionTicket(): boolean {
    return this.#find(EXTENSION.sessionTicket) !== -1;
  }

  /** Up to TLS 1.2: a CertificateStatus is to follow. */
  get ocspStapling(): boolean {
    return this.#find(EXTENSION.statusRequest) !== -1;
  }

  get extendedMasterSecret(): boolean {
    return this.#find(EXTENSION.extendedMasterSecret) !== -1;
  }

  get encryptThenMac(): boolean {
    return this.#find(EXTENSION.encryptThenMac) !== -1;
  }

  get secureRenegotiation(): boolean {
    return this.#find(EXTENSION.renegotiationInfo) !== -1;
  }

  /** The highest version that the server marked as able to speak beyond the one chosen, RFC 8446 §4.1.3: somebody may have interfered. */
  get downgradedFrom(): "TLS 1.2" | "TLS 1.3" | undefined {
    const { random } = this;
    if (this.version >= TLS13 || !DOWNGRADE_MARK.every((octet, index) => octet === random[24 + index]))
      return undefined;
    if (random[31] === 1) return "TLS 1.3";
    return random[31] === 0 ? "TLS 1.2" : undefined;
  }

  #find(type: number): number {
    return findExtension(this.bytes, this.extensionsAt, this.end, type);
  }

  /** The first two bytes of an extension; undefined when it is absent. */
  #readUint16(type: number): number | undefined {
    const at = this.#find(type);
    return at === -1 ? undefined : readUint16(this.bytes, at);
  }
}

const TLS13 = 0x0304;
/** In the body: after the version, and after the random. */
const RANDOM_AT = 2;
const SESSION_ID_AT = 34;
/** SHA-256 of "HelloRetryRequest", RFC 8446 §4.1.3. */
const HELLO_RETRY_RANDOM = Uint8Array.fromHex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
/** "DOWNGRD", the seven bytes before the last one, RFC 8446 §4.1.3. */
const DOWNGRADE_MARK = Uint8Array.fromHex("444f574e475244");

/** Parses the body of a ServerHello, without the four bytes of type and length: `bytes` from `start` to `end`. One walk checks all of it. */
export function parseServerHello(bytes: Uint8Array, start = 0, end = bytes.length): ParsedBody<ServerHello> {
  const reader = new ByteReader(bytes, start, end);
  const major = reader.uint(2) >> 8;
  if (major !== 3 && major !== 0x7f && !reader.short) return { kind: "bad", code: "bad_value", at: 0 };
  reader.skip(32);
  const sessionIdAt = reader.at;
  const sessionIdLength = reader.uint(1);
  reader.skip(sessionIdLength);
  if (sessionIdLength > 32 && !reader.short) return { kind: "bad", code: "bad_value", at: sessionIdAt - start };
  const cipherAt = reader.at;
  reader.skip(3);
  // Up to TLS 1.2 a hello may end before them (RFC 5246 §7.4.1.3).
  if (reader.left === 0) return finishBody(reader, new ServerHello(bytes, start, end, cipherAt, end));
  const length = reader.uint(2);
  const extensionsAt = reader.at;
  if (!reader.skip(length)) return { kind: "bad", code: "truncated", at: extensionsAt - start };
  const check = isRetryRequest(bytes, start) ? checkRetryExtension : checkServerExtension;
  const fault = checkExtensions(bytes, extensionsAt, reader.at, check);
  if (fault !== undefined) return { kind: "bad", code: fault.code, at: fault.at - start };
  return finishBody(reader, new ServerHello(bytes, start, end, cipherAt, extensionsAt));
}

/**
 * Whether an answer resumes an earlier session: up to TLS 1.2 by repeating
 * `sessionId`, the client's (RFC 5246 §7.4.1.3; with a ticket the client
 * invents one, RFC 5077 §3.4), in TLS 1.3 by taking a pre-shared key. A client
 * of TLS 1.2 that offers a ticket and no session id does not let it be seen.
 */
export function resumesSession(server: ServerHello, sessionId: Uint8Array): boolean {
  if (server.helloRetryRequest) return false;
  if (server.version >= TLS13) return server.pskIndex !== undefined;
  const { sessionId: answered } = server;
  if (sessionId.length === 0 || sessionId.length !== answered.length) return false;
  return sessionId.every((octet, index) => octet === answered[index]);
}

function isRetryRequest(bytes: Uint8Array, start: number): boolean {
  for (let index = 0; index < HELLO_RETRY_RANDOM.length; index += 1)
    if (bytes[start + RANDOM_AT + index] !== HELLO_RETRY_RANDOM[index]) return false;
  return true;
}

/** A HelloRetryRequest names a group where a ServerHello has the share of one. */
function checkRetryExtension(type: number, bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  return type === EXTENSION.keyShare ? checkSize(at, end, 2) : checkServerExtension(type, bytes, at, end);
}

function checkServerExtension(type: number, bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  switch (type) {
    case EXTENSION.alpn:
      return checkChosenProtocol(bytes, at, end);
    case EXTENSION.supportedVersions:
    case EXTENSION.preSharedKey:
      return checkSize(at, end, 2);
    case EXTENSION.keyShare:
      return at + 2 > end ? "truncated" : checkNumbers(bytes, at + 2, end, 2, 1);
    case EXTENSION.cookie:
      return checkNumbers(bytes, at, end, 2, 1);
    default:
      return undefined;
  }
}

/** RFC 7301 §3.1: a list of exactly one name. */
function checkChosenProtocol(bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  const code = checkItems(bytes, at, end, SHORT_STRING);
  if (code === "truncated") return code;
  const length = readUint16(bytes, at);
  return length > 0 && length === 1 + (bytes[at + 2] ?? 0) ? code : "bad_value";
}
