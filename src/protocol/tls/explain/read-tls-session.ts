import type { ClientHello } from "../read/client-hello.ts";
import { describeMessage } from "./describe-message.ts";
import type { HandshakeMessage } from "../read/handshake-message.ts";
import { nameCipherSuite } from "../read/iana.ts";
import { describeAlert, findSecrets, openSession, type OpenedMessage } from "./open-session.ts";
import type { ServerHello } from "../read/server-hello.ts";
import type { TlsEvent } from "../read/tls-event.ts";
import { TlsWatcher } from "../read/tls-watcher.ts";

/** One message of a TLS connection, or one record of which no more is known. */
export interface SessionMessage extends Omit<OpenedMessage, "kind"> {
  readonly from: "client" | "server";
  /** Where its record stands in the stream of its direction: offsets in bytes, record headers counted. */
  readonly at: number;
  readonly end: number;
  readonly kind: "handshake" | "change_cipher_spec" | "alert" | "application_data" | "heartbeat" | "unreadable";
  /** A message in clear has the headers of its records in it. */
  readonly length: number;
  /** Whether it was encrypted on the wire. */
  readonly encrypted: boolean;
}

/** A TLS connection as its bytes tell it. */
export interface TlsSession {
  /** Of each direction in order; both together are in no order. */
  readonly messages: readonly SessionMessage[];
  /** The last of each, after a HelloRetryRequest the second ones. */
  readonly clientHello: ClientHello | undefined;
  readonly serverHello: ServerHello | undefined;
  /** Why the encrypted part could not be read: for a person. Undefined when it was, or when nothing is encrypted. */
  readonly sealed: string | undefined;
}

/**
 * Reads a whole TLS connection from the bytes of both directions, and what is
 * encrypted of TLS 1.2 and 1.3 with the secrets in `keyLog` (NSS key log
 * format). Never throws.
 */
export function readTlsSession(client: Uint8Array, server: Uint8Array, keyLog: string): TlsSession {
  const events = { client: watch("client", client), server: watch("server", server) };
  const clientHello = findHello(events.client, "client_hello");
  const serverHello = findHello(events.server, "server_hello");
  const opened =
    clientHello === undefined || serverHello === undefined
      ? { messages: new Map<TlsEvent, readonly OpenedMessage[]>(), problem: undefined }
      : openSession({
          client: { bytes: client, events: events.client },
          server: { bytes: server, events: events.server },
          clientHello,
          serverHello,
          secrets: findSecrets(keyLog, clientHello.random),
        });
  const tell = (from: "client" | "server") =>
    events[from].flatMap((event) => {
      const inside = opened.messages.get(event);
      return inside === undefined
        ? describeEvent(from, event)
        : inside.map((message): SessionMessage => ({
            ...message,
            from,
            at: event.at,
            end: event.end,
            encrypted: true,
          }));
    });
  return {
    messages: [...tell("client"), ...tell("server")],
    clientHello,
    serverHello,
    sealed: opened.problem && `${opened.problem} (${serverHello ? nameCipherSuite(serverHello.cipherSuite) : "?"})`,
  };
}

function watch(from: "client" | "server", bytes: Uint8Array): readonly TlsEvent[] {
  // A session is read whole, so a chain may have the length that its message can have.
  return new TlsWatcher({ from, maxMessageBytes: 1 << 20 }).push(bytes);
}

function findHello<Type extends "client_hello" | "server_hello">(
  events: readonly TlsEvent[],
  type: Type,
): Extract<HandshakeMessage, { type: Type }> | undefined {
  return events
    .flatMap((event) => (event.kind === "handshake" && isOfType(event.message, type) ? [event.message] : []))
    .at(-1);
}

function isOfType<Type extends HandshakeMessage["type"]>(
  message: HandshakeMessage,
  type: Type,
): message is Extract<HandshakeMessage, { type: Type }> {
  return message.type === type;
}

function describeEvent(from: "client" | "server", event: TlsEvent): SessionMessage[] {
  const { at, end } = event;
  const common = { from, at, end, fields: [] };
  switch (event.kind) {
    case "handshake": {
      const { name, fields } = describeMessage(event.message);
      const chain = event.message.type === "certificate" ? { chain: event.message.chain } : {};
      return [{ ...common, kind: "handshake", name, length: end - at, encrypted: false, fields, ...chain }];
    }
    case "change_cipher_spec":
      return [{ ...common, kind: event.kind, name: "ChangeCipherSpec", length: 1, encrypted: false }];
    case "alert":
      return [{ ...common, ...describeAlert(event.level, event.description), encrypted: false }];
    case "encrypted": {
      const name = event.content === "alert" ? "Alert, encrypted" : "Handshake message, encrypted";
      return [{ ...common, kind: "unreadable", name, length: event.length, encrypted: true }];
    }
    case "application_data":
      return [{ ...common, kind: event.kind, name: "Application data", length: event.length, encrypted: true }];
    case "heartbeat":
      return [{ ...common, kind: event.kind, name: "Heartbeat", length: event.length, encrypted: true }];
    case "gave_up": {
      const name = event.reason === "not_tls" ? "Bytes that are no TLS" : `Unreadable from here (${event.reason})`;
      return [{ ...common, kind: "unreadable", name, length: 0, encrypted: false }];
    }
  }
}
