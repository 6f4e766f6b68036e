import { ByteReader, finishBody, type ParsedBody, readNumbers, readStrings } from "../read/byte-reader.ts";
import { EXTENSION, readExtensions, type TlsExtension } from "../read/extension.ts";
import { type CertificateVerify, parseCertificateVerify } from "../read/server-messages.ts";

/** EncryptedExtensions (RFC 8446 §4.3.1): what a server answers beyond its hello. */
export interface EncryptedExtensions {
  readonly type: "encrypted_extensions";
  readonly extensions: readonly TlsExtension[];
  /** The protocol chosen, one character for each byte. */
  readonly alpn: string | undefined;
  /** The server took note of the name that the client asked for. */
  readonly serverName: boolean;
  readonly groups: readonly number[];
  readonly earlyData: boolean;
  readonly recordSizeLimit: number | undefined;
}

/** A Certificate of TLS 1.3 (RFC 8446 §4.4.2): the sender's chain as DER, its own certificate first. Empty when a client has none. */
export interface Tls13Certificate {
  readonly type: "certificate";
  readonly chain: readonly Uint8Array[];
  /** Extensions of the first certificate: a stapled OCSP response, timestamps of CT logs. */
  readonly extensions: readonly TlsExtension[];
}

/** A CertificateRequest of TLS 1.3 (RFC 8446 §4.3.2). */
export interface Tls13CertificateRequest {
  readonly type: "certificate_request";
  readonly signatureAlgorithms: readonly number[];
  readonly extensions: readonly TlsExtension[];
}

/** A NewSessionTicket of TLS 1.3 (RFC 8446 §4.6.1). Lengths in bytes. */
export interface Tls13NewSessionTicket {
  readonly type: "new_session_ticket";
  /** Seconds, at most a week. */
  readonly lifetime: number;
  readonly ticketLength: number;
  /** Bytes of early data that the server would take; undefined when it takes none. */
  readonly maxEarlyData: number | undefined;
}

/** A Finished: a code over everything before it. */
export interface Finished {
  readonly type: "finished";
  readonly length: number;
}

/** The sender changes its key, and perhaps asks the other side to do so, too (RFC 8446 §4.6.3). */
export interface KeyUpdate {
  readonly type: "key_update";
  readonly requested: boolean;
}

/** A message without anything to tell but its type and its size. */
export interface OtherTls13Message {
  readonly type: "other";
  readonly handshakeType: number;
  readonly length: number;
}

/** A handshake message that TLS 1.3 sends encrypted, opened. */
export type Tls13Message =
  | EncryptedExtensions
  | Tls13Certificate
  | Tls13CertificateRequest
  | CertificateVerify
  | Tls13NewSessionTicket
  | Finished
  | KeyUpdate
  | OtherTls13Message;

/** Numbers of these messages (IANA TLS HandshakeType). */
export const TLS13_TYPE = {
  newSessionTicket: 4,
  encryptedExtensions: 8,
  certificate: 11,
  certificateRequest: 13,
  certificateVerify: 15,
  finished: 20,
  keyUpdate: 24,
} as const;

/** Parses the body of a message that was encrypted, without its four bytes of type and length. Keeps views of `body`. */
export function parseTls13Message(handshakeType: number, body: Uint8Array): ParsedBody<Tls13Message> {
  switch (handshakeType) {
    case TLS13_TYPE.encryptedExtensions:
      return parseEncryptedExtensions(body);
    case TLS13_TYPE.certificate:
      return parseCertificate(body);
    case TLS13_TYPE.certificateRequest:
      return parseCertificateRequest(body);
    case TLS13_TYPE.certificateVerify:
      return parseCertificateVerify(body);
    case TLS13_TYPE.newSessionTicket:
      return parseNewSessionTicket(body);
    case TLS13_TYPE.finished:
      return { kind: "done", value: { type: "finished", length: body.length } };
    case TLS13_TYPE.keyUpdate:
      return body.length === 1
        ? { kind: "done", value: { type: "key_update", requested: body[0] === 1 } }
        : { kind: "bad", code: "bad_value", at: 0 };
    default:
      return { kind: "done", value: { type: "other", handshakeType, length: body.length } };
  }
}

function parseEncryptedExtensions(body: Uint8Array): ParsedBody<EncryptedExtensions> {
  const reader = new ByteReader(body);
  let alpn: string | undefined;
  let groups: readonly number[] = [];
  let recordSizeLimit: number | undefined;
  const extensions = readExtensions(reader, (type, data) => {
    if (type === EXTENSION.alpn) [alpn] = readStrings(data, 2, 1);
    else if (type === EXTENSION.supportedGroups) groups = readNumbers(data, 2, 2);
    else if (type === EXTENSION.recordSizeLimit) recordSizeLimit = data.uint(2);
    else data.skip(data.left);
    return undefined;
  });
  if ("code" in extensions) return { kind: "bad", ...extensions };
  const has = (wanted: number) => extensions.some(({ type }) => type === wanted);
  return finishBody(reader, {
    type: "encrypted_extensions",
    extensions,
    alpn,
    serverName: has(EXTENSION.serverName),
    groups,
    earlyData: has(EXTENSION.earlyData),
    recordSizeLimit,
  });
}

function parseCertificate(body: Uint8Array): ParsedBody<Tls13Certificate> {
  const reader = new ByteReader(body);
  reader.vector(1);
  const list = reader.vector(3);
  const chain: Uint8Array[] = [];
  let first: readonly TlsExtension[] | undefined;
  while (list.left > 0) {
    chain.push(list.vector(3).rest());
    const extensions = readOpaqueExtensions(list);
    if ("code" in extensions) return { kind: "bad", ...extensions };
    first ??= extensions;
  }
  if (list.short) reader.short = true;
  return finishBody(reader, { type: "certificate", chain, extensions: first ?? [] });
}

function parseCertificateRequest(body: Uint8Array): ParsedBody<Tls13CertificateRequest> {
  const reader = new ByteReader(body);
  reader.vector(1);
  let signatureAlgorithms: readonly number[] = [];
  const extensions = readExtensions(reader, (type, data) => {
    if (type === EXTENSION.signatureAlgorithms) signatureAlgorithms = readNumbers(data, 2, 2);
    else data.skip(data.left);
    return undefined;
  });
  if ("code" in extensions) return { kind: "bad", ...extensions };
  return finishBody(reader, { type: "certificate_request", signatureAlgorithms, extensions });
}

function parseNewSessionTicket(body: Uint8Array): ParsedBody<Tls13NewSessionTicket> {
  const reader = new ByteReader(body);
  const lifetime = reader.uint(4);
  // The number that hides the age of the ticket, and the nonce.
  reader.skip(4);
  reader.vector(1);
  const ticketLength = reader.vector(2).left;
  let maxEarlyData: number | undefined;
  const extensions = readExtensions(reader, (type, data) => {
    if (type === EXTENSION.earlyData) maxEarlyData = data.uint(4);
    else data.skip(data.left);
    return undefined;
  });
  if ("code" in extensions) return { kind: "bad", ...extensions };
  return finishBody(reader, { type: "new_session_ticket", lifetime, ticketLength, maxEarlyData });
}

/** The extensions of one entry of a list, which are not at the end of the message. */
function readOpaqueExtensions(reader: ByteReader): ReturnType<typeof readExtensions> {
  const start = reader.at;
  reader.vector(2);
  if (reader.short) return { code: "truncated", at: start };
  return readExtensions(new ByteReader(reader.bytes, start, reader.at), (_, data) => {
    data.skip(data.left);
    return undefined;
  });
}
