import {
  ByteReader,
  decodeLatin1,
  finishBody,
  type ParsedBody,
  readNumbers,
  readStrings,
  readUint16,
} from "./byte-reader.ts";
import { checkClientExtension, ECH_INNER } from "./client-extension.ts";
import { checkExtensions, EXTENSION, findExtension, listExtensions, type TlsExtension } from "./extension.ts";
import { isGrease } from "./iana.ts";

/** A public key that a hello offers or chooses: its group, and its size in bytes. */
export interface KeyShare {
  readonly group: number;
  readonly length: number;
}

/** A pre-shared key that a client offers, RFC 8446 §4.2.11: most often a ticket, whose age in milliseconds is hidden by adding a secret number modulo 2^32. */
export interface PskIdentity {
  readonly length: number;
  readonly obfuscatedTicketAge: number;
}

/**
 * What a hello shows of Encrypted Client Hello (RFC 9849). `outer` carries a
 * sealed second hello, and the server name beside it is only that of the
 * client-facing server. Clients that know of no key send random bytes of the
 * same form ("GREASE ECH"); the two cannot be told apart, which is the purpose.
 */
export type EncryptedClientHello =
  | {
      readonly kind: "outer";
      /** HPKE identifiers (RFC 9180 §7). */
      readonly kdf: number;
      readonly aead: number;
      readonly configId: number;
      /** Sizes in bytes. */
      readonly encapsulatedKeyLength: number;
      readonly payloadLength: number;
    }
  | { readonly kind: "inner" };

/**
 * A ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2): a view of bytes that were
 * checked, whose parts are decoded each time they are asked for. Valid only as
 * long as the bytes are. Numbers are as on the wire, in the client's order,
 * GREASE included; `iana.ts` names them. A list whose extension is absent is
 * empty.
 */
export class ClientHello {
  readonly type = "client_hello";
  readonly bytes: Uint8Array;
  /** Offset of the body in `bytes`. */
  readonly start: number;
  /** Offset after the last extension. */
  readonly end: number;
  /** Offset of the length of the list of cipher suites. */
  readonly ciphersAt: number;
  /** Offset of the first extension; `end` when there is none. */
  readonly extensionsAt: number;

  constructor(bytes: Uint8Array, start: number, end: number, ciphersAt: number, extensionsAt: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.ciphersAt = ciphersAt;
    this.extensionsAt = extensionsAt;
  }

  /** The version of the hello itself: 0x0303 in TLS 1.3 too, where `supportedVersions` counts. */
  get legacyVersion(): number {
    return readUint16(this.bytes, this.start);
  }

  get random(): Uint8Array {
    return this.bytes.subarray(this.start + 2, this.start + SESSION_ID_AT);
  }

  /** 0 to 32 bytes. */
  get sessionId(): Uint8Array {
    return this.bytes.subarray(this.start + SESSION_ID_AT + 1, this.ciphersAt);
  }

  /** The session id for those who keep it longer than the bytes: byte by byte, since few bytes cost less than a view of them. */
  copySessionId(): Uint8Array {
    const first = this.start + SESSION_ID_AT + 1;
    const copy = new Uint8Array(this.ciphersAt - first);
    for (let index = 0; index < copy.length; index += 1) copy[index] = this.bytes[first + index] ?? 0;
    return copy;
  }

  get cipherSuites(): readonly number[] {
    return readNumbers(new ByteReader(this.bytes, this.ciphersAt, this.end), 2, 2);
  }

  get compressionMethods(): readonly number[] {
    const at = this.ciphersAt + 2 + readUint16(this.bytes, this.ciphersAt);
    return readNumbers(new ByteReader(this.bytes, at, this.end), 1, 1);
  }

  /** All extensions in wire order, GREASE and unknown ones included. */
  get extensions(): readonly TlsExtension[] {
    return listExtensions(this.bytes, this.extensionsAt, this.end);
  }

  /** The host name of SNI, as sent: visible ASCII, any case, perhaps an address literal. */
  get serverName(): string | undefined {
    const at = this.#find(EXTENSION.serverName);
    if (at === -1) return undefined;
    const nameAt = at + SERVER_NAME_AT;
    return decodeLatin1(this.bytes, nameAt, nameAt + readUint16(this.bytes, nameAt - 2));
  }

  /** Protocols in order of preference, one character for each byte. */
  get alpn(): readonly string[] {
    return this.#readStrings(EXTENSION.alpn);
  }

  get supportedVersions(): readonly number[] {
    return this.#readNumbers(EXTENSION.supportedVersions, 1, 2);
  }

  get groups(): readonly number[] {
    return this.#readNumbers(EXTENSION.supportedGroups, 2, 2);
  }

  get pointFormats(): readonly number[] {
    return this.#readNumbers(EXTENSION.ecPointFormats, 1, 1);
  }

  get signatureAlgorithms(): readonly number[] {
    return this.#readNumbers(EXTENSION.signatureAlgorithms, 2, 2);
  }

  get signatureAlgorithmsCert(): readonly number[] {
    return this.#readNumbers(EXTENSION.signatureAlgorithmsCert, 2, 2);
  }

  get delegatedCredentialAlgorithms(): readonly number[] {
    return this.#readNumbers(EXTENSION.delegatedCredential, 2, 2);
  }

  get keyShares(): readonly KeyShare[] {
    const shares: KeyShare[] = [];
    const list = this.#open(EXTENSION.keyShare)?.vector(2);
    while (list !== undefined && list.left > 0) shares.push({ group: list.uint(2), length: list.vector(2).left });
    return shares;
  }

  get pskModes(): readonly number[] {
    return this.#readNumbers(EXTENSION.pskKeyExchangeModes, 1, 1);
  }

  get pskIdentities(): readonly PskIdentity[] {
    const identities: PskIdentity[] = [];
    const list = this.#open(EXTENSION.preSharedKey)?.vector(2);
    while (list !== undefined && list.left > 0)
      identities.push({ length: list.vector(2).left, obfuscatedTicketAge: list.uint(4) });
    return identities;
  }

  /** Bytes of the session ticket up to TLS 1.2: 0 asks for one, more offers one, undefined does neither. */
  get sessionTicketLength(): number | undefined {
    return this.#open(EXTENSION.sessionTicket)?.left;
  }

  get earlyData(): boolean {
    return this.#find(EXTENSION.earlyData) !== -1;
  }

  get encryptedClientHello(): EncryptedClientHello | undefined {
    const data = this.#open(EXTENSION.encryptedClientHello);
    if (data === undefined) return undefined;
    if (data.uint(1) === ECH_INNER) return { kind: "inner" };
    return {
      kind: "outer",
      kdf: data.uint(2),
      aead: data.uint(2),
      configId: data.uint(1),
      encapsulatedKeyLength: data.vector(2).left,
      payloadLength: data.vector(2).left,
    };
  }

  get certificateCompressions(): readonly number[] {
    return this.#readNumbers(EXTENSION.compressCertificate, 1, 2);
  }

  /** Protocols for which application settings are offered (ALPS), by either of its two numbers. */
  get applicationSettings(): readonly string[] {
    const settings = this.#readStrings(EXTENSION.applicationSettings);
    return settings.length > 0 ? settings : this.#readStrings(EXTENSION.applicationSettingsOld);
  }

  /** Bytes of the cookie that answers a HelloRetryRequest. */
  get cookieLength(): number | undefined {
    return this.#open(EXTENSION.cookie)?.vector(2).left;
  }

  get recordSizeLimit(): number | undefined {
    return this.#open(EXTENSION.recordSizeLimit)?.uint(2);
  }

  get paddingLength(): number | undefined {
    return this.#open(EXTENSION.padding)?.left;
  }

  get ocspStapling(): boolean {
    return this.#open(EXTENSION.statusRequest)?.uint(1) === 1;
  }

  /** Whether any number is one of GREASE (RFC 8701), as Chromium and its kin send. */
  get grease(): boolean {
    return (
      this.cipherSuites.some(isGrease) ||
      this.extensions.some(({ type }) => isGrease(type)) ||
      this.groups.some(isGrease) ||
      this.supportedVersions.some(isGrease) ||
      this.signatureAlgorithms.some(isGrease)
    );
  }

  #find(type: number): number {
    return findExtension(this.bytes, this.extensionsAt, this.end, type);
  }

  /** The contents of an extension; undefined when it is absent. */
  #open(type: number): ByteReader | undefined {
    const at = this.#find(type);
    return at === -1 ? undefined : new ByteReader(this.bytes, at, at + readUint16(this.bytes, at - 2));
  }

  #readNumbers(type: number, lengthSize: 1 | 2, itemSize: 1 | 2): readonly number[] {
    const data = this.#open(type);
    return data === undefined ? [] : readNumbers(data, lengthSize, itemSize);
  }

  #readStrings(type: number): readonly string[] {
    const data = this.#open(type);
    return data === undefined ? [] : readStrings(data, 2, 1);
  }
}

/** After version and random, in the body of either hello. */
const SESSION_ID_AT = 34;
/** In the contents of its extension: after the length of the list, the type of the name and the length of the name. */
const SERVER_NAME_AT = 5;

/**
 * Parses the body of a ClientHello, without the four bytes of type and length:
 * `bytes` from `start` to `end`. One walk checks all of it and decodes nothing.
 * What a TLS server would refuse with decode_error is `bad`, but for lists that
 * may not be empty and are: nothing depends on those.
 */
export function parseClientHello(bytes: Uint8Array, start = 0, end = bytes.length): ParsedBody<ClientHello> {
  const reader = new ByteReader(bytes, start, end);
  const legacyVersion = reader.uint(2);
  if (legacyVersion >> 8 !== 3 && !reader.short) return { kind: "bad", code: "bad_value", at: 0 };
  reader.skip(32);
  const sessionIdAt = reader.at;
  const sessionIdLength = reader.uint(1);
  reader.skip(sessionIdLength);
  if (sessionIdLength > 32 && !reader.short) return { kind: "bad", code: "bad_value", at: sessionIdAt - start };
  const ciphersAt = reader.at;
  const ciphersLength = reader.uint(2);
  reader.skip(ciphersLength);
  if (ciphersLength % 2 !== 0) reader.short = true;
  reader.skip(reader.uint(1));
  // Up to TLS 1.2 a hello may end before them (RFC 5246 §7.4.1.2).
  if (reader.left === 0) return finishBody(reader, new ClientHello(bytes, start, end, ciphersAt, end));
  const length = reader.uint(2);
  const extensionsAt = reader.at;
  if (!reader.skip(length)) return { kind: "bad", code: "truncated", at: extensionsAt - start };
  const fault = checkExtensions(bytes, extensionsAt, reader.at, checkClientExtension);
  if (fault !== undefined) return { kind: "bad", code: fault.code, at: fault.at - start };
  const pskAt = findExtension(bytes, extensionsAt, reader.at, EXTENSION.preSharedKey);
  // A server hashes the hello up to the binders, which must therefore come last.
  if (pskAt !== -1 && pskAt + readUint16(bytes, pskAt - 2) !== reader.at)
    return { kind: "bad", code: "misplaced_extension", at: reader.at - start };
  return finishBody(reader, new ClientHello(bytes, start, end, ciphersAt, extensionsAt));
}
