import {
  ByteReader,
  decodeLatin1,
  finishBody,
  type ParsedBody,
  readNumbers,
  readStrings,
  type TlsBadCode,
} from "./byte-reader.ts";
import { EXTENSION, readExtensions, type TlsExtension } from "./extension.ts";
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
 * A ClientHello (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2). Numbers are as on the
 * wire, in the client's order, GREASE included; `iana.ts` names them. A list
 * whose extension is absent is empty.
 */
export interface ClientHello {
  readonly type: "client_hello";
  /** The version of the hello itself: 0x0303 in TLS 1.3 too, where `supportedVersions` counts. */
  readonly legacyVersion: number;
  readonly random: Uint8Array;
  /** 0 to 32 bytes. */
  readonly sessionId: Uint8Array;
  readonly cipherSuites: readonly number[];
  readonly compressionMethods: readonly number[];
  /** All extensions in wire order, GREASE and unknown ones included. */
  readonly extensions: readonly TlsExtension[];
  /** The host name of SNI, as sent: visible ASCII, any case, perhaps an address literal. */
  readonly serverName: string | undefined;
  /** Protocols in order of preference, one character for each byte. */
  readonly alpn: readonly string[];
  readonly supportedVersions: readonly number[];
  readonly groups: readonly number[];
  readonly pointFormats: readonly number[];
  readonly signatureAlgorithms: readonly number[];
  readonly signatureAlgorithmsCert: readonly number[];
  readonly delegatedCredentialAlgorithms: readonly number[];
  readonly keyShares: readonly KeyShare[];
  readonly pskModes: readonly number[];
  readonly pskIdentities: readonly PskIdentity[];
  /** Bytes of the session ticket up to TLS 1.2: 0 asks for one, more offers one, undefined does neither. */
  readonly sessionTicketLength: number | undefined;
  readonly earlyData: boolean;
  readonly encryptedClientHello: EncryptedClientHello | undefined;
  readonly certificateCompressions: readonly number[];
  /** Protocols for which application settings are offered (ALPS), by either of its two numbers. */
  readonly applicationSettings: readonly string[];
  /** Bytes of the cookie that answers a HelloRetryRequest. */
  readonly cookieLength: number | undefined;
  readonly recordSizeLimit: number | undefined;
  readonly paddingLength: number | undefined;
  readonly ocspStapling: boolean;
  /** Whether any number is one of GREASE (RFC 8701), as Chromium and its kin send. */
  readonly grease: boolean;
}

type Draft = { -readonly [Key in keyof ClientHello]: ClientHello[Key] };

/**
 * Parses the body of a ClientHello, without the four bytes of type and length.
 * Keeps views of `body`. What a TLS server would refuse with decode_error is
 * `bad`, but for lists that may not be empty and are: nothing depends on those.
 */
export function parseClientHello(body: Uint8Array): ParsedBody<ClientHello> {
  const reader = new ByteReader(body);
  const legacyVersion = reader.uint(2);
  if (legacyVersion >> 8 !== 3 && !reader.short) return { kind: "bad", code: "bad_value", at: 0 };
  const random = reader.take(32);
  const sessionIdAt = reader.at;
  const sessionId = reader.vector(1).rest();
  if (sessionId.length > 32) return { kind: "bad", code: "bad_value", at: sessionIdAt };
  const hello: Draft = {
    type: "client_hello",
    legacyVersion,
    random,
    sessionId,
    cipherSuites: readNumbers(reader, 2, 2),
    compressionMethods: readNumbers(reader, 1, 1),
    extensions: [],
    serverName: undefined,
    alpn: [],
    supportedVersions: [],
    groups: [],
    pointFormats: [],
    signatureAlgorithms: [],
    signatureAlgorithmsCert: [],
    delegatedCredentialAlgorithms: [],
    keyShares: [],
    pskModes: [],
    pskIdentities: [],
    sessionTicketLength: undefined,
    earlyData: false,
    encryptedClientHello: undefined,
    certificateCompressions: [],
    applicationSettings: [],
    cookieLength: undefined,
    recordSizeLimit: undefined,
    paddingLength: undefined,
    ocspStapling: false,
    grease: false,
  };
  const extensions = readExtensions(reader, (type, data) => readClientExtension(hello, type, data));
  if ("code" in extensions) return { kind: "bad", ...extensions };
  hello.extensions = extensions;
  const pskAt = extensions.findIndex(({ type }) => type === EXTENSION.preSharedKey);
  // A server hashes the hello up to the binders, which must therefore come last.
  if (pskAt !== -1 && pskAt !== extensions.length - 1)
    return { kind: "bad", code: "misplaced_extension", at: reader.at };
  hello.grease =
    hello.cipherSuites.some(isGrease) ||
    extensions.some(({ type }) => isGrease(type)) ||
    hello.groups.some(isGrease) ||
    hello.supportedVersions.some(isGrease) ||
    hello.signatureAlgorithms.some(isGrease);
  return finishBody(reader, hello);
}

function readClientExtension(hello: Draft, type: number, data: ByteReader): TlsBadCode | undefined {
  switch (type) {
    case EXTENSION.serverName:
      hello.serverName = readServerName(data);
      return hello.serverName === undefined ? "bad_server_name" : undefined;
    case EXTENSION.statusRequest:
      hello.ocspStapling = data.uint(1) === 1;
      break;
    case EXTENSION.supportedGroups:
      hello.groups = readNumbers(data, 2, 2);
      return undefined;
    case EXTENSION.ecPointFormats:
      hello.pointFormats = readNumbers(data, 1, 1);
      return undefined;
    case EXTENSION.signatureAlgorithms:
      hello.signatureAlgorithms = readNumbers(data, 2, 2);
      return undefined;
    case EXTENSION.signatureAlgorithmsCert:
      hello.signatureAlgorithmsCert = readNumbers(data, 2, 2);
      return undefined;
    case EXTENSION.delegatedCredential:
      hello.delegatedCredentialAlgorithms = readNumbers(data, 2, 2);
      return undefined;
    case EXTENSION.alpn:
      hello.alpn = readStrings(data, 2, 1);
      return undefined;
    case EXTENSION.applicationSettings:
    case EXTENSION.applicationSettingsOld:
      hello.applicationSettings = readStrings(data, 2, 1);
      return undefined;
    case EXTENSION.supportedVersions:
      hello.supportedVersions = readNumbers(data, 1, 2);
      return undefined;
    case EXTENSION.compressCertificate:
      hello.certificateCompressions = readNumbers(data, 1, 2);
      return undefined;
    case EXTENSION.pskKeyExchangeModes:
      hello.pskModes = readNumbers(data, 1, 1);
      return undefined;
    case EXTENSION.keyShare:
      hello.keyShares = readKeyShares(data);
      return undefined;
    case EXTENSION.preSharedKey:
      hello.pskIdentities = readPskIdentities(data);
      return undefined;
    case EXTENSION.earlyData:
      hello.earlyData = true;
      return undefined;
    case EXTENSION.cookie:
      hello.cookieLength = data.vector(2).left;
      return undefined;
    case EXTENSION.recordSizeLimit:
      hello.recordSizeLimit = data.uint(2);
      return undefined;
    case EXTENSION.encryptedClientHello:
      return readEncryptedClientHello(hello, data);
    case EXTENSION.sessionTicket:
      hello.sessionTicketLength = data.left;
      break;
    case EXTENSION.padding:
      hello.paddingLength = data.left;
      break;
    default:
      break;
  }
  data.skip(data.left);
  return undefined;
}

/** RFC 6066 §3: a list of names with at most one of each type, of which only `host_name` was ever defined. */
function readServerName(data: ByteReader): string | undefined {
  const list = data.vector(2);
  const type = list.uint(1);
  const name = list.vector(2).rest();
  if (list.short || list.left > 0 || type !== 0 || name.length === 0) return undefined;
  for (const byte of name) if (byte <= 0x20 || byte >= 0x7f) return undefined;
  return decodeLatin1(name);
}

function readKeyShares(data: ByteReader): KeyShare[] {
  const list = data.vector(2);
  const shares: KeyShare[] = [];
  while (list.left > 0) {
    const group = list.uint(2);
    shares.push({ group, length: list.vector(2).left });
  }
  if (list.short) data.short = true;
  return shares;
}

function readPskIdentities(data: ByteReader): PskIdentity[] {
  const list = data.vector(2);
  const identities: PskIdentity[] = [];
  while (list.left > 0) {
    const length = list.vector(2).left;
    identities.push({ length, obfuscatedTicketAge: list.uint(4) });
  }
  const binders = readStrings(data, 2, 1);
  if (list.short || binders.length !== identities.length) data.short = true;
  return identities;
}

function readEncryptedClientHello(hello: Draft, data: ByteReader): TlsBadCode | undefined {
  const kind = data.uint(1);
  if (kind === 1) hello.encryptedClientHello = { kind: "inner" };
  else if (kind === 0)
    hello.encryptedClientHello = {
      kind: "outer",
      kdf: data.uint(2),
      aead: data.uint(2),
      configId: data.uint(1),
      encapsulatedKeyLength: data.vector(2).left,
      payloadLength: data.vector(2).left,
    };
  else return "bad_value";
  return undefined;
}
