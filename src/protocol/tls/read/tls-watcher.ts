import { readUint16 } from "./byte-reader.ts";
import { HandshakeAssembler } from "./handshake-assembler.ts";
import type { HandshakeMessage } from "./handshake-message.ts";
import { type ContentType, readContentType, RECORD_HEADER_BYTES } from "./record-header.ts";

/** Where something stands in the stream of one direction: offsets in bytes from its beginning, record headers counted. */
interface Span {
  /** First byte. For a message: of the record that it begins in, or its own when others are before it in that record. */
  readonly at: number;
  /** After the last byte. */
  readonly end: number;
}

/** What a direction of TLS shows. Lengths are of the payload, in bytes, without record headers. */
export type TlsEvent = Span &
  (
    | {
        readonly kind: "handshake";
        /** Version in the header of the record. 0x0301 or 0x0303 says little. */
        readonly recordVersion: number;
        readonly message: HandshakeMessage;
      }
    | { readonly kind: "change_cipher_spec" }
    | {
        readonly kind: "alert";
        /** 1 warning, 2 fatal; `nameAlertLevel`, `nameAlert`. */
        readonly level: number;
        readonly description: number;
      }
    | {
        /** A record after ChangeCipherSpec up to TLS 1.2. The first handshake one is the Finished. */
        readonly kind: "encrypted";
        readonly content: "handshake" | "alert";
        readonly length: number;
      }
    | {
        /** In TLS 1.3 also the encrypted rest of the handshake. */
        readonly kind: "application_data" | "heartbeat";
        readonly length: number;
      }
    | {
        /** The last event: what follows is not looked at. The span is empty, where what is wrong begins. */
        readonly kind: "gave_up";
        readonly reason: GaveUpReason;
      }
  );

/**
 * Why a watcher stopped looking:
 * - `not_tls`: it does not begin like TLS.
 * - `malformed`: it began like TLS, and then a record or a message is not valid.
 * - `too_long`: a message is longer than the watcher may hold.
 */
export type GaveUpReason = "not_tls" | "malformed" | "too_long";

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
const NOTHING: readonly TlsEvent[] = [];
const NO_BYTES = new Uint8Array(0);

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
  readonly #skim: boolean;
  readonly #assembler: HandshakeAssembler;
  /** The first bytes of a record header that is not all there. */
  #header: Uint8Array = NO_BYTES;
  #headerFilled = 0;
  /** The first bytes of a payload of which no more is ever asked for. */
  #small: Uint8Array = NO_BYTES;
  #smallFilled = 0;
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
  /** Where the bytes at hand begin in the stream. */
  #base = 0;
  /** Whether a record has come. */
  #begun = false;
  /** Between the client's ChangeCipherSpec and its next handshake record, which is the Finished or a second ClientHello. */
  #probing = false;

  constructor({ from, maxMessageBytes = DEFAULT_MAX_MESSAGE_BYTES, skim = false }: TlsWatcherOptions) {
    this.#from = from;
    this.#skim = skim;
    this.#assembler = new HandshakeAssembler(from, maxMessageBytes, skim);
  }

  /**
   * Takes the next bytes and gives what was completed by them. Never throws,
   * and keeps no reference to `bytes`; but a message that is whole in them is a
   * view of them, so a caller that keeps it must keep them too.
   */
  push(bytes: Uint8Array): readonly TlsEvent[] {
    if (this.state === "stopped") return NOTHING;
    const events: TlsEvent[] = [];
    let at = 0;
    while (at < bytes.length && !this.#isStopped()) {
      if (this.#content === undefined) at = this.#readHeader(bytes, at, events);
      else {
        const end = Math.min(bytes.length, at + this.#left);
        this.#left -= end - at;
        this.#takePart(this.#content, bytes, at, end, events);
        at = end;
      }
      if (this.#content !== undefined && this.#left === 0 && !this.#isStopped()) {
        this.#closeRecord(this.#content, this.#base + at, events);
        this.#content = undefined;
      }
    }
    this.#base += bytes.length;
    return events;
  }

  // A method, because the compiler cannot see that others write `state`.
  #isStopped(): boolean {
    return this.state === "stopped";
  }

  #giveUp(events: TlsEvent[], at: number, reason: GaveUpReason): void {
    this.state = "stopped";
    this.#assembler.clear();
    events.push({ kind: "gave_up", reason, at, end: at });
  }

  /** Reads a header in place, or collects what there is of it. Gives the offset after that. */
  #readHeader(bytes: Uint8Array, start: number, events: TlsEvent[]): number {
    if (this.#headerFilled === 0 && start + RECORD_HEADER_BYTES <= bytes.length) {
      this.#openRecord(bytes, start, this.#base + start, events);
      return start + RECORD_HEADER_BYTES;
    }
    if (this.#header.length === 0) this.#header = new Uint8Array(RECORD_HEADER_BYTES);
    let at = start;
    while (at < bytes.length && this.#headerFilled < RECORD_HEADER_BYTES)
      this.#header[this.#headerFilled++] = bytes[at++] ?? 0;
    if (this.#headerFilled === RECORD_HEADER_BYTES) {
      this.#headerFilled = 0;
      this.#openRecord(this.#header, 0, this.#base + at - RECORD_HEADER_BYTES, events);
    }
    return at;
  }

  /** `at` is where the header stands in the stream. */
  #openRecord(bytes: Uint8Array, headerAt: number, at: number, events: TlsEvent[]): void {
    const type = readContentType(bytes, headerAt);
    const length = readUint16(bytes, headerAt + 3);
    const first = !this.#begun;
    this.#begun = true;
    if (type === undefined) {
      this.#giveUp(events, at, first ? "not_tls" : "malformed");
      return;
    }
    // A server may refuse at once; everything else begins with a hello.
    if (first && type !== "handshake" && !(this.#from === "server" && type === "alert")) {
      this.#giveUp(events, at, "not_tls");
      return;
    }
    const clear = this.state === "clear";
    if (
      (clear && type === "handshake" && (length === 0 || length > MAX_CLEAR_BYTES)) ||
      (clear && type === "alert" && length !== 2) ||
      (type === "change_cipher_spec" && length !== 1) ||
      // RFC 8446 §5.1: nothing comes between the parts of a message.
      (type !== "handshake" && type !== "alert" && this.#assembler.busy)
    ) {
      this.#giveUp(events, at, "malformed");
      return;
    }
    this.#smallFilled = 0;
    this.#content = type;
    this.#recordAt = at;
    this.#version = readUint16(bytes, headerAt + 1);
    this.#length = length;
    this.#left = length;
    this.#clear = clear;
  }

  #takePart(type: ContentType, bytes: Uint8Array, start: number, end: number, events: TlsEvent[]): void {
    if (type === "handshake" && this.#clear) this.#takeClear(bytes, start, end, this.#base + start, events);
    else if (type === "alert") this.#keepSmall(bytes, start, end);
    else if (type === "handshake" && this.#probing) {
      const kept = this.#keepSmall(bytes, start, end);
      if (this.#smallFilled < PROBE_BYTES) return;
      this.#probing = false;
      if (!looksLikeClientHello(this.#small, this.#length)) return;
      this.state = "clear";
      this.#clear = true;
      this.#takeClear(this.#small, 0, PROBE_BYTES, this.#recordAt + RECORD_HEADER_BYTES, events);
      if (!this.#isStopped()) this.#takeClear(bytes, start + kept, end, this.#base + start + kept, events);
    }
  }

  /** Keeps the beginning of a payload, as much as is ever asked for, and gives how many of the bytes it took. */
  #keepSmall(bytes: Uint8Array, start: number, end: number): number {
    if (this.#small.length === 0) this.#small = new Uint8Array(PROBE_BYTES);
    let at = start;
    while (at < end && this.#smallFilled < PROBE_BYTES) this.#small[this.#smallFilled++] = bytes[at++] ?? 0;
    return at - start;
  }

  /** `base` is where the byte at `start` stands in the stream. */
  #takeClear(bytes: Uint8Array, start: number, end: number, base: number, events: TlsEvent[]): void {
    const payloadAt = this.#recordAt + RECORD_HEADER_BYTES;
    let at = start;
    while (at < end && !this.#isStopped()) {
      const here = base + at - start;
      const messageAt = here === payloadAt ? this.#recordAt : here;
      const assembler = this.#assembler;
      const step = assembler.push(bytes, at, end, messageAt);
      if (step === "more") return;
      const { message, startedAt } = assembler;
      if (step !== "done" || message === undefined) {
        this.#giveUp(events, startedAt, step === "done" ? "malformed" : step);
        return;
      }
      // Not kept here: it is a view of bytes that are not ours.
      assembler.message = undefined;
      at += assembler.used;
      const messageEnd = base + at - start;
      events.push({ kind: "handshake", at: startedAt, end: messageEnd, recordVersion: this.#version, message });
      if (message.type === "server_hello" && message.version >= TLS13 && !message.helloRetryRequest) {
        // Those who skim have all that can be read.
        this.state = this.#skim ? "stopped" : "encrypted";
        // What follows is encrypted, and never in this record (RFC 8446 §5.1).
        if (messageEnd < payloadAt + this.#length) this.#giveUp(events, messageEnd, "malformed");
      }
    }
  }

  #closeRecord(type: ContentType, end: number, events: TlsEvent[]): void {
    const at = this.#recordAt;
    const length = this.#length;
    switch (type) {
      case "handshake":
        if (this.#clear) return;
        this.#probing = false;
        events.push({ kind: "encrypted", content: "handshake", length, at, end });
        return;
      case "alert":
        // Two bytes are no encrypted alert: TLS 1.3 allows one in clear after the dummy ChangeCipherSpec.
        if (length !== 2) events.push({ kind: "encrypted", content: "alert", length, at, end });
        else events.push({ kind: "alert", level: this.#small[0] ?? 0, description: this.#small[1] ?? 0, at, end });
        return;
      case "change_cipher_spec":
        this.#changeCipher();
        events.push({ kind: "change_cipher_spec", at, end });
        return;
      case "application_data":
        if (this.state === "clear") this.state = "encrypted";
        events.push({ kind: type, length, at, end });
        return;
      case "heartbeat":
        events.push({ kind: type, length, at, end });
        return;
    }
  }

  /**
   * In TLS 1.3 a ChangeCipherSpec means nothing (RFC 8446 appendix D.4), and a
   * hello in clear may still follow it: the server's after its
   * HelloRetryRequest, the client's second after its first.
   */
  #changeCipher(): void {
    if (this.state !== "clear") return;
    const { last } = this.#assembler;
    if (last === "hello_retry_request") return;
    this.state = "encrypted";
    this.#probing = this.#from === "client" && last === "client_hello";
  }
}

/** An encrypted Finished passes with a chance of 2^-40 or less: its first bytes are a nonce, or as good as random. */
function looksLikeClientHello(start: Uint8Array, recordLength: number): boolean {
  const length = ((start[1] ?? 0) << 16) | ((start[2] ?? 0) << 8) | (start[3] ?? 0);
  const fits = length + 4 === recordLength || (recordLength === MAX_CLEAR_BYTES && length + 4 > recordLength);
  return start[0] === 1 && start[4] === 3 && start[5] === 3 && fits;
}
