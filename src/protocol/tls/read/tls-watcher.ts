import { ByteReader, readUint16 } from "./byte-reader.ts";
import {
  type ContentType,
  MESSAGE_HEADER_BYTES,
  MessagePieces,
  readContentType,
  readMessageLength,
  RECORD_HEADER_BYTES,
} from "./framing.ts";
import { HANDSHAKE_TYPE, parseHandshakeMessage, tellOther } from "./handshake-message.ts";
import type { ServerHello } from "./server-hello.ts";
import type { GaveUpReason, TlsEvent } from "./tls-event.ts";

export interface TlsWatcherOptions {
  /** Whose bytes these are. */
  readonly from: "client" | "server";
  /** Bytes of the longest handshake message to read. Default 65536; OpenSSL takes certificate chains of 100 KiB, but a ClientHello of no more than 16 KiB is customary. */
  readonly maxMessageBytes?: number;
  /** Read only hellos and certificates, and nothing after the ServerHello of TLS 1.3; every other handshake message is told as `other`, whatever it contains. Default false. */
  readonly skim?: boolean;
}

/** RFC 8446 §5.1. Encrypted records may be longer, see `readRecordHeader`. */
const MAX_CLEAR_BYTES = 1 << 14;
/** What a record after the client's first ChangeCipherSpec must show to be taken for a second ClientHello: type, length, version. */
const PROBE_BYTES = 6;
const DEFAULT_MAX_MESSAGE_BYTES = 65_536;
const TLS13 = 0x0304;
/** The messages that are read by those who skim. */
const SKIMMED_TYPES: readonly number[] = [
  HANDSHAKE_TYPE.client_hello,
  HANDSHAKE_TYPE.server_hello,
  HANDSHAKE_TYPE.certificate,
];
const NO_BYTES = new Uint8Array(0);
const NOTHING: readonly TlsEvent[] = [];

/**
 * Watches one direction of a connection: an incremental reader of TLS records
 * and handshake messages, SSL 3.0 to TLS 1.3, that holds at most one message
 * and gives up silently.
 */
export class TlsWatcher {
  /**
   * - `clear`: what comes next may be readable.
   * - `encrypted`: the readable part is over, but for a second ClientHello
   *   after a HelloRetryRequest: a caller with enough can stop.
   * - `stopped`: nothing will ever come out of it again.
   */
  state: "clear" | "encrypted" | "stopped" = "clear";
  readonly #from: "client" | "server";
  readonly #maxBytes: number;
  readonly #skim: boolean;
  /** What the bytes at hand completed. */
  #events: TlsEvent[] | undefined;
  /** Where the bytes at hand begin in the stream. */
  #base = 0;

  /** What the record at hand carries; undefined between records. */
  #content: ContentType | undefined;
  /** Where its header begins in the stream, and what that says. */
  #recordAt = 0;
  #version = 0;
  #length = 0;
  /** Bytes of its payload that are still to come. */
  #left = 0;
  /** Whether its payload is read as clear text, and not just counted. */
  #clear = false;
  /** Between the client's ChangeCipherSpec and its next handshake record, which is the Finished or a second ClientHello. */
  #probing = false;
  /** A header that is not all there, or the first bytes of a payload of which no more is ever asked for. */
  #kept = NO_BYTES;
  #keptCount = 0;

  /** Where the message at hand begins in the stream. */
  #messageAt = 0;
  /** Its beginning, when the rest is still to come. */
  #pieces: MessagePieces | undefined;
  /** The last message. */
  #last: "nothing" | "client_hello" | "hello_retry_request" | "other" = "nothing";
  #serverHello: Pick<ServerHello, "version" | "cipherSuite"> | undefined;

  constructor({ from, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES, skim = false }: TlsWatcherOptions) {
    this.#from = from;
    this.#maxBytes = maxMessageBytes;
    this.#skim = skim;
  }

  /**
   * Takes the next bytes and gives what was completed by them. Never throws,
   * and keeps no reference to `bytes`; but a message that is whole in them is a
   * view of them, so a caller that keeps it must keep them too.
   */
  push(bytes: Uint8Array): readonly TlsEvent[] {
    let at = 0;
    while (at < bytes.length && this.state !== "stopped") {
      if (this.#content === undefined) at = this.#takeHeader(bytes, at);
      else at = this.#takePayload(this.#content, bytes, at);
      if (this.#left === 0 && this.#content !== undefined) this.#closeRecord(this.#content, this.#base + at);
    }
    this.#base += bytes.length;
    const events = this.#events;
    this.#events = undefined;
    return events ?? NOTHING;
  }

  #tell(event: TlsEvent): void {
    if (this.#events === undefined) this.#events = [event];
    else this.#events.push(event);
  }

  #giveUp(at: number, reason: GaveUpReason): void {
    this.state = "stopped";
    this.#content = undefined;
    this.#pieces = undefined;
    this.#tell({ kind: "gave_up", reason, at, end: at });
  }

  /** Reads a header in place, or collects what there is of it. Gives the offset after that. */
  #takeHeader(bytes: Uint8Array, start: number): number {
    const end = start + RECORD_HEADER_BYTES;
    if (this.#keptCount === 0 && end <= bytes.length) {
      this.#openRecord(bytes, start, this.#base + start);
      return end;
    }
    const at = this.#keep(bytes, start, bytes.length, RECORD_HEADER_BYTES);
    if (this.#keptCount === RECORD_HEADER_BYTES) this.#openRecord(this.#kept, 0, this.#base + at - RECORD_HEADER_BYTES);
    return at;
  }

  /** Keeps bytes from `start` to `end` until there are `count`. Gives the offset after the last one taken. */
  #keep(bytes: Uint8Array, start: number, end: number, count: number): number {
    if (this.#kept.length === 0) this.#kept = new Uint8Array(PROBE_BYTES);
    let at = start;
    while (at < end && this.#keptCount < count) this.#kept[this.#keptCount++] = bytes[at++] ?? 0;
    return at;
  }

  /** `at` is where the header stands in the stream. */
  #openRecord(bytes: Uint8Array, headerAt: number, at: number): void {
    const type = readContentType(bytes, headerAt);
    const length = readUint16(bytes, headerAt + 3);
    const clear = this.state === "clear";
    this.#keptCount = 0;
    // A server may refuse at once; everything else begins with a hello.
    if (at === 0 && type !== "handshake" && !(this.#from === "server" && type === "alert")) this.#giveUp(at, "not_tls");
    else if (
      type === undefined ||
      (clear && type === "handshake" && (length === 0 || length > MAX_CLEAR_BYTES)) ||
      (clear && type === "alert" && length !== 2) ||
      (type === "change_cipher_spec" && length !== 1) ||
      // RFC 8446 §5.1: nothing comes between the parts of a message.
      (this.#pieces !== undefined && type !== "handshake" && type !== "alert")
    )
      this.#giveUp(at, "malformed");
    else {
      this.#content = type;
      this.#recordAt = at;
      this.#version = readUint16(bytes, headerAt + 1);
      this.#length = length;
      this.#left = length;
      this.#clear = clear;
    }
  }

  /** Gives the offset after what it took: the end of the record, or of the bytes. */
  #takePayload(type: ContentType, bytes: Uint8Array, start: number): number {
    const end = Math.min(bytes.length, start + this.#left);
    this.#left -= end - start;
    if (type === "handshake" && this.#clear) this.#takeClear(bytes, start, end, this.#base);
    else if (type === "alert") this.#keep(bytes, start, end, 2);
    else if (type === "handshake" && this.#probing) {
      const restAt = this.#keep(bytes, start, end, PROBE_BYTES);
      if (this.#keptCount === PROBE_BYTES) this.#probe(bytes, restAt, end);
    }
    return end;
  }

  /** Looks whether what follows the client's ChangeCipherSpec is another ClientHello, of which the first bytes are kept. */
  #probe(bytes: Uint8Array, restAt: number, end: number): void {
    this.#probing = false;
    if (!looksLikeClientHello(this.#kept, this.#length)) return;
    this.state = "clear";
    this.#clear = true;
    this.#takeClear(this.#kept, 0, PROBE_BYTES, this.#recordAt + RECORD_HEADER_BYTES);
    this.#takeClear(bytes, restAt, end, this.#base);
  }

  /** Takes handshake messages in clear. `base` is where `bytes` begin in the stream. */
  #takeClear(bytes: Uint8Array, start: number, end: number, base: number): void {
    let at = start;
    while (at < end && this.state !== "stopped") {
      if (this.#pieces === undefined && !this.#beginMessage(bytes[at] ?? 0, base + at)) return;
      const bodyEnd = this.#pieces === undefined ? findMessageEnd(bytes, at, end) : -1;
      if (bodyEnd !== -1 && bodyEnd - at - MESSAGE_HEADER_BYTES <= this.#maxBytes) {
        const body = new ByteReader(bytes, at + MESSAGE_HEADER_BYTES, bodyEnd);
        this.#takeMessage(bytes[at] ?? 0, body, base + bodyEnd);
        at = bodyEnd;
      } else {
        const pieces = (this.#pieces ??= new MessagePieces());
        at = pieces.take(bytes, at, end);
        if (pieces.length > this.#maxBytes) this.#giveUp(this.#messageAt, "too_long");
        else if (pieces.isWhole) {
          this.#pieces = undefined;
          this.#takeMessage(pieces.type, pieces.open(), base + at);
        }
      }
    }
  }

  /** `at` is where the message begins in the stream. Gives whether it may. */
  #beginMessage(type: number, at: number): boolean {
    // The first message of a record begins with its header.
    this.#messageAt = at === this.#recordAt + RECORD_HEADER_BYTES ? this.#recordAt : at;
    const firstType = this.#from === "client" ? HANDSHAKE_TYPE.client_hello : HANDSHAKE_TYPE.server_hello;
    if (this.#last !== "nothing" || type === firstType) return true;
    this.#giveUp(this.#messageAt, "not_tls");
    return false;
  }

  /** `end` is where the message ends in the stream. */
  #takeMessage(type: number, body: ByteReader, end: number): void {
    const isRead = !this.#skim || SKIMMED_TYPES.includes(type);
    const parsed = isRead ? parseHandshakeMessage(type, body, this.#serverHello) : tellOther(type, body);
    if (parsed.kind === "bad") {
      this.#giveUp(this.#messageAt, "malformed");
      return;
    }
    const message = parsed.value;
    this.#last = message.type === "client_hello" ? "client_hello" : "other";
    this.#tell({ kind: "handshake", at: this.#messageAt, end, recordVersion: this.#version, message });
    if (message.type === "server_hello") this.#takeServerHello(message, end);
  }

  #takeServerHello({ version, cipherSuite, helloRetryRequest }: ServerHello, end: number): void {
    // Not the hello, which is a view of bytes that are not ours.
    this.#serverHello = { version, cipherSuite };
    if (helloRetryRequest) this.#last = "hello_retry_request";
    else if (version >= TLS13) {
      // Those who skim have all that can be read.
      this.state = this.#skim ? "stopped" : "encrypted";
      // What follows is encrypted, and never in this record (RFC 8446 §5.1).
      if (end < this.#recordAt + RECORD_HEADER_BYTES + this.#length) this.#giveUp(end, "malformed");
    }
  }

  #closeRecord(type: ContentType, end: number): void {
    const at = this.#recordAt;
    const length = this.#length;
    this.#content = undefined;
    this.#keptCount = 0;
    switch (type) {
      case "handshake":
        if (this.#clear) return;
        this.#probing = false;
        this.#tell({ kind: "encrypted", content: "handshake", length, at, end });
        return;
      case "alert":
        // Two bytes are no encrypted alert: TLS 1.3 allows one in clear after the dummy ChangeCipherSpec.
        if (length !== 2) this.#tell({ kind: "encrypted", content: "alert", length, at, end });
        else this.#tell({ kind: "alert", level: this.#kept[0] ?? 0, description: this.#kept[1] ?? 0, at, end });
        return;
      case "change_cipher_spec":
        this.#changeCipher();
        this.#tell({ kind: "change_cipher_spec", at, end });
        return;
      case "application_data":
        if (this.state === "clear") this.state = "encrypted";
        this.#tell({ kind: type, length, at, end });
        return;
      case "heartbeat":
        this.#tell({ kind: type, length, at, end });
        return;
    }
  }

  /**
   * In TLS 1.3 a ChangeCipherSpec means nothing (RFC 8446 appendix D.4), and a
   * hello in clear may still follow it: the server's after its
   * HelloRetryRequest, the client's second after its first.
   */
  #changeCipher(): void {
    if (this.state !== "clear" || this.#last === "hello_retry_request") return;
    this.state = "encrypted";
    this.#probing = this.#from === "client" && this.#last === "client_hello";
  }
}

/** Offset after the message that begins at `at`; -1 when it is not whole. */
function findMessageEnd(bytes: Uint8Array, at: number, end: number): number {
  const bodyAt = at + MESSAGE_HEADER_BYTES;
  const bodyEnd = bodyAt + readMessageLength(bytes, at);
  return bodyAt <= end && bodyEnd <= end ? bodyEnd : -1;
}

/** An encrypted Finished passes with a chance of 2^-40 or less: its first bytes are a nonce, or as good as random. */
function looksLikeClientHello(start: Uint8Array, recordLength: number): boolean {
  const length = readMessageLength(start, 0);
  const fits = length + 4 === recordLength || (recordLength === MAX_CLEAR_BYTES && length + 4 > recordLength);
  return start[0] === HANDSHAKE_TYPE.client_hello && readUint16(start, 4) === 0x0303 && fits;
}
