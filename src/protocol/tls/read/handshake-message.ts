import type { ByteReader, ParsedBody } from "./byte-reader.ts";
import { type ClientHello, parseClientHello } from "./client-hello.ts";
import { parseServerHello, type ServerHello } from "./server-hello.ts";
import {
  type CertificateMessage,
  type CertificateRequest,
  type CertificateVerify,
  type NewSessionTicket,
  parseCertificateMessage,
  parseCertificateRequest,
  parseCertificateVerify,
  parseNewSessionTicket,
  parseServerKeyExchange,
  type ServerKeyExchange,
} from "./server-messages.ts";

/** A handshake message in clear of which only the type (`nameHandshakeType`) and the size are told: ClientKeyExchange, ServerHelloDone, HelloRequest, CertificateStatus and whatever may come. */
export interface OtherMessage {
  readonly type: "other";
  readonly handshakeType: number;
  /** Bytes of the body. */
  readonly length: number;
}

/** A handshake message in clear. */
export type HandshakeMessage =
  | ClientHello
  | ServerHello
  | CertificateMessage
  | ServerKeyExchange
  | CertificateRequest
  | CertificateVerify
  | NewSessionTicket
  | OtherMessage;

/** Numbers of the handshake messages that this parser looks into (IANA TLS HandshakeType). */
export const HANDSHAKE_TYPE = {
  clientHello: 1,
  serverHello: 2,
  newSessionTicket: 4,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  certificateVerify: 15,
} as const;

/** The number on the wire of a message's type. */
export function numberOfMessage(message: HandshakeMessage): number {
  switch (message.type) {
    case "client_hello":
      return HANDSHAKE_TYPE.clientHello;
    case "server_hello":
      return HANDSHAKE_TYPE.serverHello;
    case "new_session_ticket":
      return HANDSHAKE_TYPE.newSessionTicket;
    case "certificate":
      return HANDSHAKE_TYPE.certificate;
    case "server_key_exchange":
      return HANDSHAKE_TYPE.serverKeyExchange;
    case "certificate_request":
      return HANDSHAKE_TYPE.certificateRequest;
    case "certificate_verify":
      return HANDSHAKE_TYPE.certificateVerify;
    case "other":
      return message.handshakeType;
  }
}

/**
 * Parses the body of a handshake message in clear. `serverHello` is the one
 * that came before it in the same direction, which decides the form of some
 * that follow.
 */
export function parseHandshakeMessage(
  handshakeType: number,
  body: ByteReader,
  serverHello: Pick<ServerHello, "version" | "cipherSuite"> | undefined,
): ParsedBody<HandshakeMessage> {
  switch (handshakeType) {
    case HANDSHAKE_TYPE.clientHello:
      return parseClientHello(body);
    case HANDSHAKE_TYPE.serverHello:
      return parseServerHello(body);
    case HANDSHAKE_TYPE.certificate:
      return parseCertificateMessage(body);
    case HANDSHAKE_TYPE.newSessionTicket:
      return parseNewSessionTicket(body);
    case HANDSHAKE_TYPE.certificateVerify:
      return parseCertificateVerify(body);
    case HANDSHAKE_TYPE.serverKeyExchange:
      if (serverHello === undefined) break;
      return parseServerKeyExchange(body, serverHello.version, serverHello.cipherSuite);
    case HANDSHAKE_TYPE.certificateRequest:
      if (serverHello === undefined) break;
      return parseCertificateRequest(body, serverHello.version);
    default:
      break;
  }
  return tellOther(handshakeType, body);
}

export function tellOther(handshakeType: number, body: ByteReader): ParsedBody<OtherMessage> {
  return { kind: "done", value: { type: "other", handshakeType, length: body.left } };
}
