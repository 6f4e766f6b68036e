import type { ByteReader, ParsedBody } from "./byte-reader.ts";
import { nameHandshakeType } from "./iana.ts";
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

export type HandshakeMessage =
  | ClientHello
  | ServerHello
  | CertificateMessage
  | ServerKeyExchange
  | CertificateRequest
  | CertificateVerify
  | NewSessionTicket
  | OtherMessage;

/** The numbers on the wire of the messages that are looked into (IANA TLS HandshakeType). */
export const HANDSHAKE_TYPE = {
  client_hello: 1,
  server_hello: 2,
  new_session_ticket: 4,
  encrypted_extensions: 8,
  certificate: 11,
  server_key_exchange: 12,
  certificate_request: 13,
  certificate_verify: 15,
  finished: 20,
  key_update: 24,
} as const;

export function numberOfMessage(message: OtherMessage | { readonly type: keyof typeof HANDSHAKE_TYPE }): number {
  return message.type === "other" ? message.handshakeType : HANDSHAKE_TYPE[message.type];
}

/** The name of a type of handshake messages as the RFCs write it: `ServerHelloDone`. */
export function nameMessageType(handshakeType: number): string {
  return nameHandshakeType(handshakeType).replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
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
    case HANDSHAKE_TYPE.client_hello:
      return parseClientHello(body);
    case HANDSHAKE_TYPE.server_hello:
      return parseServerHello(body);
    case HANDSHAKE_TYPE.certificate:
      return parseCertificateMessage(body);
    case HANDSHAKE_TYPE.new_session_ticket:
      return parseNewSessionTicket(body);
    case HANDSHAKE_TYPE.certificate_verify:
      return parseCertificateVerify(body);
    case HANDSHAKE_TYPE.server_key_exchange:
      if (serverHello === undefined) break;
      return parseServerKeyExchange(body, serverHello.version, serverHello.cipherSuite);
    case HANDSHAKE_TYPE.certificate_request:
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
