import { ByteReader, finishBody, type ParsedBody, readNumbers } from "./byte-reader.ts";
import { readCertificateExpiry } from "./certificate-expiry.ts";
import { nameCipherSuite } from "./iana.ts";

/** A Certificate message up to TLS 1.2 (RFC 5246 §7.4.2): a view like `ClientHello`, valid only as long as the bytes are. */
export class CertificateMessage {
  readonly type = "certificate";
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** The sender's chain as DER, its own certificate first. Empty when a client has none. `explainChain` reads them. */
  get chain(): readonly Uint8Array[] {
    const list = new ByteReader(this.bytes, this.start, this.end).vector(3);
    const chain: Uint8Array[] = [];
    while (list.left > 0) chain.push(list.vector(3).rest());
    return chain;
  }

  /** When the sender's own certificate ends, in milliseconds since the epoch; undefined when there is none, or that cannot be read. */
  readExpiry(): number | undefined {
    const list = new ByteReader(this.bytes, this.start + 3, this.end);
    const length = list.uint(3);
    return readCertificateExpiry(this.bytes, list.at, list.at + length);
  }
}

export function parseCertificateMessage(reader: ByteReader): ParsedBody<CertificateMessage> {
  const message = new CertificateMessage(reader.bytes, reader.at, reader.end);
  const listEnd = reader.uint(3) + reader.at;
  while (reader.at < listEnd && !reader.short) reader.skip(reader.uint(3));
  if (reader.at > listEnd) reader.short = true;
  return finishBody(reader, message);
}

/** How the keys are exchanged in a ServerKeyExchange; sizes of public keys in bytes. */
export type KeyExchange =
  | { readonly kind: "ecdhe"; readonly group: number; readonly publicLength: number }
  | { readonly kind: "dhe"; readonly primeBits: number; readonly publicLength: number }
  /** Only the hint of RFC 4279 §2, which helps the client choose among its keys. */
  | { readonly kind: "psk"; readonly hintLength: number }
  /** Of a suite, or with explicit curve parameters, that this parser does not know. */
  | { readonly kind: "other" };

/** A ServerKeyExchange (RFC 5246 §7.4.3, RFC 8422 §5.4, RFC 4279). */
export interface ServerKeyExchange {
  readonly type: "server_key_exchange";
  readonly exchange: KeyExchange;
  /** TLS 1.2 when the exchange is signed. Before, the certificate's key alone decided. */
  readonly signatureScheme: number | undefined;
}

/** Parses a ServerKeyExchange, whose form depends on the version and cipher suite of the ServerHello. */
export function parseServerKeyExchange(
  reader: ByteReader,
  version: number,
  cipherSuite: number,
): ParsedBody<ServerKeyExchange> {
  const keyExchange = nameCipherSuite(cipherSuite)
    .replace(/^TLS_/, "")
    .replace(/_WITH_.*$/, "");
  const psk = keyExchange.includes("PSK");
  const hintLength = psk ? reader.vector(2).left : 0;
  let exchange: KeyExchange | undefined;
  if (/^ECDHE?_/.test(keyExchange)) exchange = readEcdhe(reader);
  else if (/^DHE?_|_DHE$/.test(keyExchange)) exchange = readDhe(reader);
  else if (psk) exchange = { kind: "psk", hintLength };
  if (exchange === undefined || exchange.kind === "other")
    return {
      kind: "done",
      value: { type: "server_key_exchange", exchange: { kind: "other" }, signatureScheme: undefined },
    };
  let signatureScheme: number | undefined;
  if (!psk && !keyExchange.includes("anon")) {
    if (version >= 0x0303) signatureScheme = reader.uint(2);
    reader.vector(2);
  }
  return finishBody(reader, { type: "server_key_exchange", exchange, signatureScheme });
}

function readEcdhe(reader: ByteReader): KeyExchange {
  // RFC 8422 §5.4: 3 is named_curve; the two explicit forms are long forbidden.
  if (reader.uint(1) !== 3 && !reader.short) return { kind: "other" };
  const group = reader.uint(2);
  return { kind: "ecdhe", group, publicLength: reader.vector(1).left };
}

function readDhe(reader: ByteReader): KeyExchange {
  const prime = reader.vector(2).rest();
  reader.vector(2);
  const publicLength = reader.vector(2).left;
  const top = prime.findIndex((byte) => byte !== 0);
  const primeBits = top === -1 ? 0 : (prime.length - top) * 8 - Math.clz32(prime[top] ?? 0) + 24;
  return { kind: "dhe", primeBits, publicLength };
}

/** A CertificateRequest up to TLS 1.2 (RFC 5246 §7.4.4). */
export interface CertificateRequest {
  readonly type: "certificate_request";
  readonly certificateTypes: readonly number[];
  /** Empty before TLS 1.2. */
  readonly signatureAlgorithms: readonly number[];
  /** Distinguished names of accepted authorities, in DER. */
  readonly authorities: readonly Uint8Array[];
}

export function parseCertificateRequest(reader: ByteReader, version: number): ParsedBody<CertificateRequest> {
  const certificateTypes = readNumbers(reader, 1, 1);
  const signatureAlgorithms = version >= 0x0303 ? readNumbers(reader, 2, 2) : [];
  const list = reader.vector(2);
  const authorities: Uint8Array[] = [];
  while (list.left > 0) authorities.push(list.vector(2).rest());
  if (list.short) reader.short = true;
  return finishBody(reader, { type: "certificate_request", certificateTypes, signatureAlgorithms, authorities });
}

/** A NewSessionTicket up to TLS 1.2 (RFC 5077 §3.3). */
export interface NewSessionTicket {
  readonly type: "new_session_ticket";
  /** Seconds; 0 leaves it to the client. */
  readonly lifetime: number;
  /** Bytes. */
  readonly ticketLength: number;
}

export function parseNewSessionTicket(reader: ByteReader): ParsedBody<NewSessionTicket> {
  const lifetime = reader.uint(4);
  const ticketLength = reader.vector(2).left;
  return finishBody(reader, { type: "new_session_ticket", lifetime, ticketLength });
}

/** A CertificateVerify up to TLS 1.2 (RFC 5246 §7.4.8): the client signs the handshake so far. */
export interface CertificateVerify {
  readonly type: "certificate_verify";
  /** TLS 1.2 only. */
  readonly signatureScheme: number | undefined;
  /** Bytes. */
  readonly signatureLength: number;
}

/** Needs no version: a vector that fills the body can have nothing before it. */
export function parseCertificateVerify(reader: ByteReader): ParsedBody<CertificateVerify> {
  const first = reader.uint(2);
  if (first === reader.left)
    return finishBody(reader, {
      type: "certificate_verify",
      signatureScheme: undefined,
      signatureLength: reader.rest().length,
    });
  return finishBody(reader, {
    type: "certificate_verify",
    signatureScheme: first,
    signatureLength: reader.vector(2).left,
  });
}
