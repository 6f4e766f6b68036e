import { ByteReader, finishBody, type ParsedBody, readStrings, type TlsBadCode } from "./byte-reader.ts";
import type { KeyShare } from "./client-hello.ts";
import { EXTENSION, readExtensions, type TlsExtension } from "./extension.ts";

/**
 * A ServerHello, or the HelloRetryRequest that has the same form (RFC 8446
 * §4.1.3 and §4.1.4, RFC 5246 §7.4.1.3). Numbers are as on the wire.
 */
export interface ServerHello {
  readonly type: "server_hello";
  /** Whether it only asks for another ClientHello, with a share of the group in `keyShare`. */
  readonly helloRetryRequest: boolean;
  /** The version of the hello itself: 0x0303 in TLS 1.3 too. */
  readonly legacyVersion: number;
  /** The version that the server chose. */
  readonly version: number;
  readonly random: Uint8Array;
  /** 0 to 32 bytes. In TLS 1.3 it only repeats the client's. */
  readonly sessionId: Uint8Array;
  readonly cipherSuite: number;
  readonly compressionMethod: number;
  /** All extensions in clear, in wire order. In TLS 1.3 most others follow encrypted. */
  readonly extensions: readonly TlsExtension[];
  /** The protocol chosen up to TLS 1.2, one character for each byte; in TLS 1.3 it is encrypted. */
  readonly alpn: string | undefined;
  /** TLS 1.3: the group chosen; `length` is 0 in a HelloRetryRequest. */
  readonly keyShare: KeyShare | undefined;
  /** TLS 1.3 resumption: which of the client's `pskIdentities` was taken, from 0. */
  readonly pskIndex: number | undefined;
  readonly cookieLength: number | undefined;
  /** Up to TLS 1.2: a NewSessionTicket is to follow. */
  readonly sessionTicket: boolean;
  /** Up to TLS 1.2: a CertificateStatus is to follow. */
  readonly ocspStapling: boolean;
  readonly extendedMasterSecret: boolean;
  readonly encryptThenMac: boolean;
  readonly secureRenegotiation: boolean;
  /** The highest version that the server marked as able to speak beyond the one chosen, RFC 8446 §4.1.3: somebody may have interfered. */
  readonly downgradedFrom: "TLS 1.2" | "TLS 1.3" | undefined;
}

type Draft = { -readonly [Key in keyof ServerHello]: ServerHello[Key] };

/** SHA-256 of "HelloRetryRequest", RFC 8446 §4.1.3. */
const HELLO_RETRY_RANDOM = Uint8Array.fromHex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
/** "DOWNGRD", the seven bytes before the last one, RFC 8446 §4.1.3. */
const DOWNGRADE_MARK = Uint8Array.fromHex("444f574e475244");

/** Parses the body of a ServerHello, without the four bytes of type and length. Keeps views of `body`. */
export function parseServerHello(body: Uint8Array): ParsedBody<ServerHello> {
  const reader = new ByteReader(body);
  const legacyVersion = reader.uint(2);
  if (legacyVersion >> 8 !== 3 && legacyVersion >> 8 !== 0x7f && !reader.short)
    return { kind: "bad", code: "bad_value", at: 0 };
  const random = reader.take(32);
  const sessionIdAt = reader.at;
  const sessionId = reader.vector(1).rest();
  if (sessionId.length > 32) return { kind: "bad", code: "bad_value", at: sessionIdAt };
  const helloRetryRequest = equalBytes(random, HELLO_RETRY_RANDOM);
  const hello: Draft = {
    type: "server_hello",
    helloRetryRequest,
    legacyVersion,
    version: legacyVersion,
    random,
    sessionId,
    cipherSuite: reader.uint(2),
    compressionMethod: reader.uint(1),
    extensions: [],
    alpn: undefined,
    keyShare: undefined,
    pskIndex: undefined,
    cookieLength: undefined,
    sessionTicket: false,
    ocspStapling: false,
    extendedMasterSecret: false,
    encryptThenMac: false,
    secureRenegotiation: false,
    downgradedFrom: undefined,
  };
  const extensions = readExtensions(reader, (type, data) => readServerExtension(hello, type, data));
  if ("code" in extensions) return { kind: "bad", ...extensions };
  hello.extensions = extensions;
  hello.downgradedFrom = readDowngrade(hello);
  return finishBody(reader, hello);
}

function readServerExtension(hello: Draft, type: number, data: ByteReader): TlsBadCode | undefined {
  switch (type) {
    case EXTENSION.alpn: {
      const protocols = readStrings(data, 2, 1);
      // RFC 7301 §3.1: exactly one.
      if (protocols.length !== 1 && !data.short) return "bad_value";
      hello.alpn = protocols[0];
      return undefined;
    }
    case EXTENSION.supportedVersions:
      hello.version = data.uint(2);
      return undefined;
    case EXTENSION.keyShare:
      hello.keyShare = {
        group: data.uint(2),
        length: hello.helloRetryRequest ? 0 : data.vector(2).left,
      };
      return undefined;
    case EXTENSION.preSharedKey:
      hello.pskIndex = data.uint(2);
      return undefined;
    case EXTENSION.cookie:
      hello.cookieLength = data.vector(2).left;
      return undefined;
    case EXTENSION.sessionTicket:
      hello.sessionTicket = true;
      break;
    case EXTENSION.statusRequest:
      hello.ocspStapling = true;
      break;
    case EXTENSION.extendedMasterSecret:
      hello.extendedMasterSecret = true;
      break;
    case EXTENSION.encryptThenMac:
      hello.encryptThenMac = true;
      break;
    case EXTENSION.renegotiationInfo:
      hello.secureRenegotiation = true;
      break;
    default:
      break;
  }
  data.skip(data.left);
  return undefined;
}

function readDowngrade(hello: ServerHello): ServerHello["downgradedFrom"] {
  if (hello.version >= 0x0304) return undefined;
  if (!equalBytes(hello.random.subarray(24, 31), DOWNGRADE_MARK)) return undefined;
  if (hello.random[31] === 1) return "TLS 1.3";
  return hello.random[31] === 0 ? "TLS 1.2" : undefined;
}

function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  if (left.length !== right.length) return false;
  return left.every((byte, index) => byte === right[index]);
}
