import { ByteReader } from "../read/byte-reader.ts";
import type { ClientHello } from "../read/client-hello.ts";
import { describeMessage, type MessageField } from "./describe-message.ts";
import { MESSAGE_HEADER_BYTES, MessagePieces } from "../read/framing.ts";
import { HANDSHAKE_TYPE } from "../read/handshake-message.ts";
import { nameAlert, nameAlertLevel } from "../read/iana.ts";
import {
  canOpenRecords,
  createTls12Openers,
  createTls13Opener,
  type OpenedRecord,
  type RecordOpener,
  updateTrafficSecret,
} from "./record-opener.ts";
import type { ServerHello } from "../read/server-hello.ts";
import type { TlsEvent } from "../read/tls-event.ts";
import { parseTls13Message } from "./tls13-message.ts";

/** The secrets of one connection, by the label of the NSS key log format. */
export type TlsSecrets = ReadonlyMap<string, Uint8Array>;

/** A message that came out of an encrypted record. */
export interface OpenedMessage {
  readonly kind: "handshake" | "alert" | "application_data" | "unreadable";
  /** `ClientHello`, `Alert close_notify`, `Application data`, … */
  readonly name: string;
  /** Bytes of the message, without what encryption adds. */
  readonly length: number;
  readonly fields: readonly MessageField[];
  /** Of a Certificate: the DER of each, the sender's first. */
  readonly chain?: readonly Uint8Array[];
}

/** One direction: all of its bytes, and what was seen of it from outside. */
interface Direction {
  readonly bytes: Uint8Array;
  readonly events: readonly TlsEvent[];
}

export interface SealedSession {
  readonly client: Direction;
  readonly server: Direction;
  readonly clientHello: ClientHello;
  readonly serverHello: ServerHello;
  readonly secrets: TlsSecrets;
}

/** What came out, by the event that each record is from outside. */
export interface OpenedSession {
  readonly messages: ReadonlyMap<TlsEvent, readonly OpenedMessage[]>;
  /** Why records stayed closed; undefined when there was no need. */
  readonly problem: string | undefined;
}

const TLS12 = 0x0303;
const TLS13 = 0x0304;
const TYPE_ALERT = 21;
const TYPE_HANDSHAKE = 22;
const TYPE_APPLICATION_DATA = 23;

/** Opens the encrypted records of TLS 1.2 and 1.3 with the secrets of the connection. */
export function openSession(session: SealedSession): OpenedSession {
  const messages = new Map<TlsEvent, readonly OpenedMessage[]>();
  const readers = createReaders(session);
  if (typeof readers === "string") return { messages, problem: isSealed(session) ? readers : undefined };
  let closed = false;
  for (const side of ["client", "server"] as const) {
    const { bytes, events } = session[side];
    for (const event of events) {
      if (event.kind !== "encrypted" && event.kind !== "application_data") continue;
      const opened = readers[side].read(bytes.subarray(event.at, event.end));
      if (opened === undefined) closed = true;
      else messages.set(event, opened);
    }
  }
  return { messages, problem: closed ? "Some records do not open with the secrets at hand" : undefined };
}

function isSealed({ client, server }: SealedSession): boolean {
  return [...client.events, ...server.events].some(({ kind }) => kind === "encrypted" || kind === "application_data");
}

/** Reads the records of one direction, in order. */
interface RecordReader {
  /** The messages that a record completes; undefined when it does not open. */
  read(record: Uint8Array): readonly OpenedMessage[] | undefined;
}

function createReaders(session: SealedSession): { client: RecordReader; server: RecordReader } | string {
  const { clientHello, serverHello, secrets } = session;
  const { version, cipherSuite } = serverHello;
  if (version !== TLS12 && version !== TLS13) return "Only TLS 1.2 and 1.3 are decrypted";
  if (!canOpenRecords(cipherSuite)) return "This tool does not decrypt the cipher suite";
  if (version === TLS13) {
    const make = (side: "CLIENT" | "SERVER") =>
      createTls13Reader(cipherSuite, [
        secrets.get(`${side}_HANDSHAKE_TRAFFIC_SECRET`),
        secrets.get(`${side}_TRAFFIC_SECRET_0`),
      ]);
    if (!secrets.has("SERVER_HANDSHAKE_TRAFFIC_SECRET")) return "The secrets of the connection are not known";
    return { client: make("CLIENT"), server: make("SERVER") };
  }
  const masterSecret = secrets.get("CLIENT_RANDOM");
  if (masterSecret === undefined) return "The secrets of the connection are not known";
  const { random: clientRandom } = clientHello;
  const openers = createTls12Openers({ cipherSuite, masterSecret, clientRandom, serverRandom: serverHello.random });
  if (openers === undefined) return "This tool does not decrypt the cipher suite";
  return { client: createTls12Reader(openers.client), server: createTls12Reader(openers.server) };
}

function createTls12Reader(opener: RecordOpener): RecordReader {
  return {
    read(record) {
      const opened = opener.open(record);
      if (opened === undefined) return undefined;
      if (opened.type !== TYPE_HANDSHAKE) return describeOther(opened);
      const [type] = opened.content;
      if (type !== HANDSHAKE_TYPE.finished) return [unreadable("Handshake message", opened.content.length)];
      return [describeHandshake(type, new ByteReader(opened.content, MESSAGE_HEADER_BYTES))];
    },
  };
}

/** The keys of the handshake up to Finished, then those of the application data, renewed at each KeyUpdate. */
function createTls13Reader(
  cipherSuite: number,
  [handshakeSecret, applicationSecret]: readonly [Uint8Array | undefined, Uint8Array | undefined],
): RecordReader {
  let secret = handshakeSecret;
  let opener = secret && createTls13Opener(cipherSuite, secret);
  let pieces = new MessagePieces();

  function useSecret(next: Uint8Array | undefined): void {
    secret = next;
    opener = next && createTls13Opener(cipherSuite, next);
  }

  function readMessages(content: Uint8Array): OpenedMessage[] {
    const messages: OpenedMessage[] = [];
    for (let at = 0; at < content.length;) {
      at = pieces.take(content, at, content.length);
      if (!pieces.isWhole) break;
      const message = describeHandshake(pieces.type, pieces.open());
      messages.push(message);
      pieces = new MessagePieces();
      if (message.name === "Finished") useSecret(applicationSecret);
      else if (message.name === "KeyUpdate" && secret !== undefined)
        useSecret(updateTrafficSecret(cipherSuite, secret));
    }
    return messages;
  }

  return {
    read(record) {
      const opened = opener?.open(record);
      if (opened === undefined) return undefined;
      return opened.type === TYPE_HANDSHAKE ? readMessages(opened.content) : describeOther(opened);
    },
  };
}

function describeHandshake(type: number, body: ByteReader): OpenedMessage {
  const length = MESSAGE_HEADER_BYTES + body.left;
  const parsed = parseTls13Message(type, body);
  if (parsed.kind === "bad") return unreadable("Handshake message", length);
  const chain = parsed.value.type === "certificate" ? { chain: parsed.value.chain } : {};
  return { kind: "handshake", length, ...describeMessage(parsed.value), ...chain };
}

function describeOther({ type, content }: OpenedRecord): OpenedMessage[] {
  if (type === TYPE_ALERT) return [describeAlert(content[0] ?? 0, content[1] ?? 0)];
  if (type !== TYPE_APPLICATION_DATA) return [unreadable("Record", content.length)];
  return [{ kind: "application_data", name: "Application data", length: content.length, fields: [] }];
}

/** An alert (RFC 8446 §6) in words. */
export function describeAlert(level: number, description: number): OpenedMessage {
  const fields = [{ label: "level", value: nameAlertLevel(level) }];
  return { kind: "alert", name: `Alert ${nameAlert(description)}`, length: 2, fields };
}

function unreadable(what: string, length: number): OpenedMessage {
  return { kind: "unreadable", name: `${what}, unreadable`, length, fields: [] };
}

const LINE = /^([A-Z0-9_]+) ([0-9a-fA-F]{64}) ((?:[0-9a-fA-F]{2})+)$/;

/**
 * Finds the secrets of the connection whose ClientHello has `clientRandom`
 * among lines in the NSS key log format
 * (https://www.ietf.org/archive/id/draft-ietf-tls-keylogfile-04.html): a label,
 * the random and the secret in hexadecimal. Other lines are passed over.
 */
export function findSecrets(keyLog: string, clientRandom: Uint8Array): TlsSecrets {
  const wanted = clientRandom.toHex();
  const secrets = new Map<string, Uint8Array>();
  for (const line of keyLog.split("\n")) {
    const [, label = "", random = "", secret = ""] = LINE.exec(line.trimEnd()) ?? [];
    if (random.toLowerCase() === wanted) secrets.set(label, Uint8Array.fromHex(secret));
  }
  return secrets;
}
