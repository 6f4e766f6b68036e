import { nameMessageType, numberOfMessage } from "../../protocol/tls/read/handshake-message.ts";
import { nameAlert } from "../../protocol/tls/read/iana.ts";
import type { TlsEvent } from "../../protocol/tls/read/tls-event.ts";

/**
 * The messages of a TLS handshake as they passed, two numbers of 32 bits each: who
 * sent what and how long it was, and microseconds since the ClientHello. A tunnel
 * keeps them as long as it lives, so they have to be small.
 */
export type HandshakeNotes = ArrayLike<number>;

/** A message in the words of `penstock trace`. */
export interface NotedMessage {
  readonly from: "client" | "server";
  readonly name: string;
  readonly bytes: number;
  /** Milliseconds since the ClientHello, when the message had come whole. */
  readonly atMs: number;
  readonly encrypted: boolean;
}

/** Messages of one handshake that are noted. A TLS 1.2 handshake with client certificates has 16. */
const MOST = 24;
const WORDS = 2;

const KINDS = ["handshake", "retry", "change_cipher_spec", "alert", "encrypted", "encrypted_alert", "data"] as const;
const MAX_LENGTH = 0xfffff;
const MAX_TIME = 0xffff_ffff;

/** Notes what one event tells, `atMs` after the ClientHello; nothing when there is room for no more. */
export function noteMessage(notes: number[], from: "client" | "server", event: TlsEvent, atMs: number): void {
  const noted = readEvent(event);
  if (noted === undefined || notes.length >= MOST * WORDS) return;
  const [kind, detail, length] = noted;
  const head = (from === "client" ? 0 : 8) | KINDS.indexOf(kind);
  notes.push(((head << 28) | (detail << 20) | Math.min(length, MAX_LENGTH)) >>> 0);
  notes.push(Math.min(MAX_TIME, Math.max(0, Math.round(atMs * 1000))));
}

/** Keeps notes in as little memory as there is. */
export function packNotes(notes: HandshakeNotes): HandshakeNotes {
  return Uint32Array.from(notes);
}

export function readNotes(notes: HandshakeNotes): NotedMessage[] {
  return Array.from({ length: Math.floor(notes.length / WORDS) }, (_, index) => {
    const word = notes[index * WORDS] ?? 0;
    const kind = KINDS[(word >>> 28) & 7] ?? "data";
    return {
      from: word >>> 31 === 0 ? "client" : "server",
      name: nameNote(kind, (word >>> 20) & 0xff),
      bytes: word & MAX_LENGTH,
      atMs: (notes[index * WORDS + 1] ?? 0) / 1000,
      encrypted: kind === "encrypted" || kind === "encrypted_alert" || kind === "data",
    };
  });
}

type Noted = readonly [kind: (typeof KINDS)[number], detail: number, length: number];

/** Lengths are those of `penstock trace`: of a message in clear with the headers of its records. */
function readEvent(event: TlsEvent): Noted | undefined {
  switch (event.kind) {
    case "handshake": {
      const { message } = event;
      const isRetry = message.type === "server_hello" && message.helloRetryRequest;
      return [isRetry ? "retry" : "handshake", numberOfMessage(message), event.end - event.at];
    }
    case "change_cipher_spec":
      return [event.kind, 0, 1];
    case "alert":
      return [event.kind, event.description, 2];
    case "encrypted":
      return [event.content === "alert" ? "encrypted_alert" : "encrypted", 0, event.length];
    case "application_data":
      return ["data", 0, event.length];
    default:
      return undefined;
  }
}

function nameNote(kind: (typeof KINDS)[number], detail: number): string {
  switch (kind) {
    case "handshake":
      return nameMessageType(detail);
    case "retry":
      return "HelloRetryRequest";
    case "change_cipher_spec":
      return "ChangeCipherSpec";
    case "alert":
      return `Alert ${nameAlert(detail)}`;
    case "encrypted":
      return "Handshake message, encrypted";
    case "encrypted_alert":
      return "Alert, encrypted";
    case "data":
      return "Application data";
  }
}
