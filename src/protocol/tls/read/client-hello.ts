import { decodeLatin1 } from "../../http1/octets.ts";
import { ByteReader, finishBody, type ParsedBody, readNumbers, readUint16 } from "./byte-reader.ts";
import { CLIENT_EXTENSIONS, ECH_INNER } from "./client-extension.ts";
import { EXTENSION, readExtensions } from "./extension.ts";
import { Hello, passHelloStart } from "./hello.ts";

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
export class ClientHello extends Hello {
  readonly type = "client_hello";

  get cipherSuites(): readonly number[] {
    return readNumbers(new ByteReader(this.bytes, this.restAt), 2, 2);
  }

  get compressionMethods(): readonly number[] {
    const at = this.restAt + 2 + readUint16(this.bytes, this.restAt);
    return readNumbers(new ByteReader(this.bytes, at), 1, 1);
  }

  /** The host name of SNI, as sent: visible ASCII, any case, perhaps an address literal. */
  get serverName(): string | undefined {
    const at = this.extensionBlock.serverNameAt;
    if (at === -1) return undefined;
    const nameAt = at + SERVER_NAME_AT;
    return decodeLatin1(this.bytes, nameAt, nameAt + readUint16(this.bytes, nameAt - 2));
  }

  /** Protocols in order of preference, one character for each byte. */
  get alpn(): readonly string[] {
    return this.extensionBlock.readStrings(EXTENSION.alpn);
  }

  get supportedVersions(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.supportedVersions, 1, 2);
  }

  get groups(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.supportedGroups, 2, 2);
  }

  get pointFormats(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.ecPointFormats, 1, 1);
  }

  get signatureAlgorithms(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.signatureAlgorithms, 2, 2);
  }

  get signatureAlgorithmsCert(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.signatureAlgorithmsCert, 2, 2);
  }

  get delegatedCredentialAlgorithms(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.delegatedCredential, 2, 2);
  }

  get keyShares(): readonly KeyShare[] {
    const shares: KeyShare[] = [];
    const list = this.extensionBlock.open(EXTENSION.keyShare)?.vector(2);
    while (list !== undefined && list.left > 0) shares.push({ group: list.uint(2), length: list.vector(2).left });
    return shares;
  }

  get pskModes(): readonly number[] {
    return this.extensionBlock.readNumbers(EXTENSION.pskKeyExchangeModes, 1, 1);
  }

  get pskIdentities(): readonly PskIdentity[] {
    const identities: PskIdentity[] = [];
    const list = this.extensionBlock.open(EXTENSION.preSharedKey)?.vector(2);
    while (list !== undefined && list.left > 0)
      identities.push({ length: list.vector(2).left, obfuscatedTicketAge: list.uint(4) });
    return identities;
  }

  /** Bytes of the session ticket up to TLS 1.2: 0 asks for one, more offers one, undefined does neither. */
  get sessionTicketLength(): number | undefined {
    return this.extensionBlock.open(EXTENSION.sessionTicket)?.left;
  }

  get earlyData(): boolean {
    return this.extensionBlock.has(EXTENSION.earlyData);
  }

  get encryptedClientHello(): EncryptedClientHello | undefined {
    const data = this.extensionBlock.open(EXTENSION.encryptedClientHello);
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
    return this.extensionBlock.readNumbers(EXTENSION.compressCertificate, 1, 2);
  }

  /** Protocols for which application settings are offered (ALPS), by either of its two numbers. */
  get applicationSettings(): readonly string[] {
    const settings = this.extensionBlock.readStrings(EXTENSION.applicationSettings);
    return settings.length > 0 ? settings : this.extensionBlock.readStrings(EXTENSION.applicationSettingsOld);
  }

  /** Bytes of the cookie that answers a HelloRetryRequest. */
  get cookieLength(): number | undefined {
    return this.extensionBlock.open(EXTENSION.cookie)?.vector(2).left;
  }

  get recordSizeLimit(): number | undefined {
    return this.extensionBlock.open(EXTENSION.recordSizeLimit)?.uint(2);
  }

  get paddingLength(): number | undefined {
    return this.extensionBlock.open(EXTENSION.padding)?.left;
  }
}

/** In the contents of its extension: after the length of the list, the type of the name and the length of the name. */
const SERVER_NAME_AT = 5;

/**
 * Parses the body of a ClientHello, without the four bytes of type and length. One walk checks all of it and decodes nothing.
 * What a TLS server would refuse with decode_error is `bad`, but for lists that
 * may not be empty and are: nothing depends on those.
 */
export function parseClientHello(reader: ByteReader): ParsedBody<ClientHello> {
  const { bytes, at: start } = reader;
  const fault = passHelloStart(reader);
  if (fault !== undefined) return fault;
  const ciphersAt = reader.at;
  const ciphersLength = reader.uint(2);
  reader.skip(ciphersLength);
  if (ciphersLength % 2 !== 0) reader.short = true;
  reader.skip(reader.uint(1));
  const block = readExtensions(reader, CLIENT_EXTENSIONS);
  if ("code" in block) return { kind: "bad", code: block.code, at: block.at - start };
  const pskAt = block.find(EXTENSION.preSharedKey);
  // A server hashes the hello up to the binders, which must therefore come last.
  if (pskAt !== -1 && pskAt + readUint16(bytes, pskAt - 2) !== block.end)
    return { kind: "bad", code: "misplaced_extension", at: block.end - start };
  return finishBody(reader, new ClientHello(start, ciphersAt, block));
}
