import { decodeLatin1 } from "../../http1/octets.ts";
import { type ByteReader, finishBody, type ParsedBody, readUint16, type TlsBadCode } from "./byte-reader.ts";
import type { KeyShare } from "./client-hello.ts";
import { EXTENSION, type ExtensionBlock, type ExtensionCheck, ExtensionChecks, readExtensions } from "./extension.ts";
import { hasRandom, Hello, passHelloStart } from "./hello.ts";
import { checkItems, checkNumbers, checkSize, SHORT_STRING } from "./vector-checks.ts";

/**
 * A ServerHello, or the HelloRetryRequest that has the same form (RFC 8446
 * §4.1.3 and §4.1.4, RFC 5246 §7.4.1.3): a view like `ClientHello`, valid only
 * as long as the bytes are. Numbers are as on the wire.
 */
export class ServerHello extends Hello {
  readonly type = "server_hello";
  /** Whether it only asks for another ClientHello, with a share of the group in `keyShare`. */
  readonly helloRetryRequest: boolean;
  /** The version that the server chose. */
  readonly version: number;

  constructor(start: number, restAt: number, extensionBlock: ExtensionBlock, helloRetryRequest: boolean) {
    super(start, restAt, extensionBlock);
    this.helloRetryRequest = helloRetryRequest;
    const versionAt = extensionBlock.find(EXTENSION.supportedVersions);
    this.version = readUint16(this.bytes, versionAt === -1 ? start : versionAt);
  }

  get cipherSuite(): number {
    return readUint16(this.bytes, this.restAt);
  }

  get compressionMethod(): number {
    return this.bytes[this.restAt + 2] ?? 0;
  }

  /** The protocol chosen up to TLS 1.2, one character for each byte; in TLS 1.3 it is encrypted. */
  get alpn(): string | undefined {
    const at = this.extensionBlock.find(EXTENSION.alpn);
    if (at === -1) return undefined;
    const nameAt = at + 3;
    return decodeLatin1(this.bytes, nameAt, nameAt + (this.bytes[nameAt - 1] ?? 0));
  }

  /** TLS 1.3: the group chosen; `length` is 0 in a HelloRetryRequest. */
  get keyShare(): KeyShare | undefined {
    const at = this.extensionBlock.find(EXTENSION.keyShare);
    if (at === -1) return undefined;
    const group = readUint16(this.bytes, at);
    return { group, length: this.helloRetryRequest ? 0 : readUint16(this.bytes, at + 2) };
  }

  /** TLS 1.3 resumption: which of the client's `pskIdentities` was taken, from 0. */
  get pskIndex(): number | undefined {
    return this.extensionBlock.open(EXTENSION.preSharedKey)?.uint(2);
  }

  get cookieLength(): number | undefined {
    return this.extensionBlock.open(EXTENSION.cookie)?.uint(2);
  }

  /** The highest version that the server marked as able to speak beyond the one chosen, RFC 8446 §4.1.3: somebody may have interfered. */
  get downgradedFrom(): "TLS 1.2" | "TLS 1.3" | undefined {
    const { random } = this;
    if (this.version >= TLS13 || !DOWNGRADE_MARK.every((octet, index) => octet === random[24 + index]))
      return undefined;
    if (random[31] === 1) return "TLS 1.3";
    return random[31] === 0 ? "TLS 1.2" : undefined;
  }
}

const TLS13 = 0x0304;
/** The upper byte of the version in drafts of TLS 1.3. */
const DRAFT = 0x7f;
/** SHA-256 of "HelloRetryRequest", RFC 8446 §4.1.3. */
const HELLO_RETRY_RANDOM = Uint8Array.fromHex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c");
/** "DOWNGRD", the seven bytes before the last one, RFC 8446 §4.1.3. */
const DOWNGRADE_MARK = Uint8Array.fromHex("444f574e475244");

/** RFC 7301 §3.1: a list of exactly one name. */
function checkChosenProtocol(bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  const code = checkProtocols(bytes, at, end);
  if (code === "truncated") return code;
  const length = readUint16(bytes, at);
  return length > 0 && length === 1 + (bytes[at + 2] ?? 0) ? code : "bad_value";
}

const checkProtocols = checkItems(SHORT_STRING);
const checkNumber = checkSize(2);

const COMMON_CHECKS: readonly ExtensionCheck[] = [
  [EXTENSION.alpn, checkChosenProtocol],
  [EXTENSION.supportedVersions, checkNumber],
  [EXTENSION.preSharedKey, checkNumber],
  [EXTENSION.cookie, checkNumbers(2, 1)],
];
const SERVER_EXTENSIONS = new ExtensionChecks([...COMMON_CHECKS, [EXTENSION.keyShare, checkNumbers(2, 1, 2)]]);
/** A HelloRetryRequest names a group where a ServerHello has the share of one. */
const RETRY_EXTENSIONS = new ExtensionChecks([...COMMON_CHECKS, [EXTENSION.keyShare, checkNumber]]);

/** Parses the body of a ServerHello, without the four bytes of type and length. One walk checks all of it. */
export function parseServerHello(reader: ByteReader): ParsedBody<ServerHello> {
  const { bytes, at: start } = reader;
  const fault = passHelloStart(reader, DRAFT);
  if (fault !== undefined) return fault;
  const cipherAt = reader.at;
  // Cipher suite and compression method.
  reader.skip(3);
  const isRetry = hasRandom(bytes, start, HELLO_RETRY_RANDOM);
  const block = readExtensions(reader, isRetry ? RETRY_EXTENSIONS : SERVER_EXTENSIONS);
  if ("code" in block) return { kind: "bad", code: block.code, at: block.at - start };
  return finishBody(reader, new ServerHello(start, cipherAt, block, isRetry));
}

/**
 * Whether an answer resumes an earlier session: up to TLS 1.2 by repeating
 * `sessionId`, the text of the client's (RFC 5246 §7.4.1.3; with a ticket the client
 * invents one, RFC 5077 §3.4), in TLS 1.3 by taking a pre-shared key. A client
 * of TLS 1.2 that offers a ticket and no session id does not let it be seen.
 */
export function resumesSession(server: ServerHello, sessionId: string): boolean {
  if (server.helloRetryRequest) return false;
  if (server.version >= TLS13) return server.extensionBlock.has(EXTENSION.preSharedKey);
  return sessionId !== "" && server.sessionIdText === sessionId;
}
