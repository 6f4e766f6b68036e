import { type ByteReader, finishBody, type ParsedBody } from "../read/byte-reader.ts";
import { EXTENSION, ExtensionChecks, readExtensions, type TlsExtension } from "../read/extension.ts";
import { HANDSHAKE_TYPE, type OtherMessage, tellOther } from "../read/handshake-message.ts";
import { type CertificateVerify, parseCertificateVerify } from "../read/server-messages.ts";
import { checkItems, checkNumbers, checkSize, SHORT_STRING } from "../read/vector-checks.ts";

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

/** A handshake message that TLS 1.3 sends encrypted, opened. */
export type Tls13Message =
  | EncryptedExtensions
  | Tls13Certificate
  | Tls13CertificateRequest
  | CertificateVerify
  | Tls13NewSessionTicket
  | Finished
  | KeyUpdate
  | OtherMessage;

/** Parses the body of a message that was encrypted, without its four bytes of type and length. Keeps views of its bytes. */
export function parseTls13Message(handshakeType: number, body: ByteReader): ParsedBody<Tls13Message> {
  switch (handshakeType) {
    case HANDSHAKE_TYPE.encrypted_extensions:
      return parseEncryptedExtensions(body);
    case HANDSHAKE_TYPE.certificate:
      return parseCertificate(body);
    case HANDSHAKE_TYPE.certificate_request:
      return parseCertificateRequest(body);
    case HANDSHAKE_TYPE.certificate_verify:
      return parseCertificateVerify(body);
    case HANDSHAKE_TYPE.new_session_ticket:
      return parseNewSessionTicket(body);
    case HANDSHAKE_TYPE.finished:
      return { kind: "done", value: { type: "finished", length: body.left } };
    case HANDSHAKE_TYPE.key_update:
      return body.left === 1
        ? { kind: "done", value: { type: "key_update", requested: body.uint(1) === 1 } }
        : { kind: "bad", code: "bad_value", at: 0 };
    default:
      return tellOther(handshakeType, body);
  }
}

const checkNumbers16 = checkNumbers(2, 2);
const ENCRYPTED_EXTENSIONS = new ExtensionChecks([
  [EXTENSION.alpn, checkItems(SHORT_STRING)],
  [EXTENSION.supportedGroups, checkNumbers16],
  [EXTENSION.recordSizeLimit, checkSize(2)],
]);
const CERTIFICATE_EXTENSIONS = new ExtensionChecks([]);
const REQUEST_EXTENSIONS = new ExtensionChecks([[EXTENSION.signatureAlgorithms, checkNumbers16]]);
const TICKET_EXTENSIONS = new ExtensionChecks([[EXTENSION.earlyData, checkSize(4)]]);

function parseEncryptedExtensions(reader: ByteReader): ParsedBody<EncryptedExtensions> {
  const block = readExtensions(reader, ENCRYPTED_EXTENSIONS);
  if ("code" in block) return { kind: "bad", ...block };
  return finishBody(reader, {
    type: "encrypted_extensions",
    extensions: block.list(),
    alpn: block.readStrings(EXTENSION.alpn)[0],
    serverName: block.has(EXTENSION.serverName),
    groups: block.readNumbers(EXTENSION.supportedGroups, 2, 2),
    earlyData: block.has(EXTENSION.earlyData),
    recordSizeLimit: block.open(EXTENSION.recordSizeLimit)?.uint(2),
  });
}

function parseCertificate(reader: ByteReader): ParsedBody<Tls13Certificate> {
  reader.vector(1);
  const list = reader.vector(3);
  const chain: Uint8Array[] = [];
  let first: readonly TlsExtension[] | undefined;
  while (list.left > 0) {
    chain.push(list.vector(3).rest());
    // Not at the end of the message: one that ends before them is truncated.
    if (list.left === 0) list.short = true;
    const block = readExtensions(list, CERTIFICATE_EXTENSIONS);
    if ("code" in block) return { kind: "bad", ...block };
    first ??= block.list();
  }
  if (list.short) reader.short = true;
  return finishBody(reader, { type: "certificate", chain, extensions: first ?? [] });
}

function parseCertificateRequest(reader: ByteReader): ParsedBody<Tls13CertificateRequest> {
  reader.vector(1);
  const block = readExtensions(reader, REQUEST_EXTENSIONS);
  if ("code" in block) return { kind: "bad", ...block };
  const signatureAlgorithms = block.readNumbers(EXTENSION.signatureAlgorithms, 2, 2);
  return finishBody(reader, { type: "certificate_request", signatureAlgorithms, extensions: block.list() });
}

function parseNewSessionTicket(reader: ByteReader): ParsedBody<Tls13NewSessionTicket> {
  const lifetime = reader.uint(4);
  // The number that hides the age of the ticket, and the nonce.
  reader.skip(4);
  reader.vector(1);
  const ticketLength = reader.vector(2).left;
  const block = readExtensions(reader, TICKET_EXTENSIONS);
  if ("code" in block) return { kind: "bad", ...block };
  const maxEarlyData = block.open(EXTENSION.earlyData)?.uint(4);
  return finishBody(reader, { type: "new_session_ticket", lifetime, ticketLength, maxEarlyData });
}
