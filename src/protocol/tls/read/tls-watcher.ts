import { createHandshakeAssembler } from "./handshake-assembler.ts";
import type { HandshakeMessage } from "./handshake-message.ts";
import { type ContentType, readRecordHeader } from "./record-header.ts";

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

/** Watches one direction of a connection. */
export interface TlsWatcher {
  /** Takes the next bytes and gives what was completed by them. Never throws, keeps no reference to `bytes`. */
  push(bytes: Uint8Array): readonly TlsEvent[];
  /**
   * - `clear`: what comes next may be readable.
   * - `encrypted`: the readable part is over, but for a second ClientHello
   *   after a HelloRetryRequest: a caller with enough can stop.
   * - `stopped`: nothing will ever come out of it again.
   */
  readonly state: "clear" | "encrypted" | "stopped";
}

export interface TlsWatcherOptions {
  /** Whose bytes these are. */
  readonly from: "client" | "server";
  /** Bytes of the longest handshake message to read. Default 65536; OpenSSL takes certificate chains of 100 KiB, but a ClientHello of no more than 16 KiB is customary. */
  readonly maxMessageBytes?: number;
}

const HEADER_BYTES = 5;
/** RFC 8446 §5.1. Encrypted records may be longer, see `readRecordHeader`. */
const MAX_CLEAR_BYTES = 1 << 14;
/** What a record after the client's first ChangeCipherSpec must show to be taken for a second ClientHello: type, length, version. */
const PROBE_BYTES = 6;
const DEFAULT_MAX_MESSAGE_BYTES = 65_536;
const TLS13 = 0x0304;
const NOTHING: readonly TlsEvent[] = [];

/** The record being read. */
interface OpenRecord {
  at: number;
  type: ContentType;
  version: number;
  length: number;
  left: number;
  /** Whether its payload is read as clear text, and not just counted. */
  clear: boolean;
}

/**
 * Makes a watcher: an incremental reader of TLS records and handshake messages,
 * SSL 3.0 to TLS 1.3, that holds at most one message and gives up silently.
 */
export function createTlsWatcher(options: TlsWatcherOptions): TlsWatcher {
  const { from } = options;
  const assembler = createHandshakeAssembler(from, options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES);
  const header = new Uint8Array(HEADER_BYTES);
  let headerFilled = 0;
  const small = new Uint8Array(PROBE_BYTES);
  let smallFilled = 0;
  let record: OpenRecord | undefined;
  let offset = 0;
  let state: TlsWatcher["state"] = "clear";
  let recordsSeen = 0;
  /** Between the client's ChangeCipherSpec and its next handshake record, which is the Finished or a second ClientHello. */
  let probing = false;

  function push(bytes: Uint8Array): readonly TlsEvent[] {
    if (state === "stopped") return NOTHING;
    const events: TlsEvent[] = [];
    let at = 0;
    while (at < bytes.length && !isStopped()) {
      if (record === undefined) {
        header[headerFilled++] = bytes[at++] ?? 0;
        offset++;
        if (headerFilled < HEADER_BYTES) continue;
        headerFilled = 0;
        record = openRecord(events);
      } else {
        const part = bytes.subarray(at, at + record.left);
        at += part.length;
        offset += part.length;
        record.left -= part.length;
        takePart(record, part, events);
      }
      if (record?.left === 0 && !isStopped()) {
        closeRecord(record, events);
        record = undefined;
      }
    }
    return events;
  }

  // A function, because the compiler cannot see that others write `state`.
  function isStopped(): boolean {
    return state === "stopped";
  }

  function giveUp(events: TlsEvent[], at: number, reason: GaveUpReason): void {
    state = "stopped";
    assembler.clear();
    events.push({ kind: "gave_up", reason, at, end: at });
  }

  function openRecord(events: TlsEvent[]): OpenRecord | undefined {
    const at = offset - HEADER_BYTES;
    const read = readRecordHeader(header);
    const first = recordsSeen++ === 0;
    if (read.kind !== "done") {
      giveUp(events, at, first ? "not_tls" : "malformed");
      return undefined;
    }
    const { type, version, length } = read.value;
    // A server may refuse at once; everything else begins with a hello.
    if (first && type !== "handshake" && !(from === "server" && type === "alert")) {
      giveUp(events, at, "not_tls");
      return undefined;
    }
    const clear = state === "clear";
    if (
      (clear && type === "handshake" && (length === 0 || length > MAX_CLEAR_BYTES)) ||
      (clear && type === "alert" && length !== 2) ||
      (type === "change_cipher_spec" && length !== 1) ||
      // RFC 8446 §5.1: nothing comes between the parts of a message.
      (type !== "handshake" && type !== "alert" && assembler.busy)
    ) {
      giveUp(events, at, "malformed");
      return undefined;
    }
    smallFilled = 0;
    return { at, type, version, length, left: length, clear };
  }

  function takePart(open: OpenRecord, part: Uint8Array, events: TlsEvent[]): void {
    const base = offset - part.length;
    if (open.type === "handshake" && open.clear) takeClear(open, part, base, events);
    else if (open.type === "alert") keepSmall(part);
    else if (open.type === "handshake" && probing) {
      const kept = keepSmall(part);
      if (smallFilled < PROBE_BYTES) return;
      probing = false;
      if (!looksLikeClientHello(small, open.length)) return;
      state = "clear";
      open.clear = true;
      takeClear(open, small, open.at + HEADER_BYTES, events);
      if (!isStopped()) takeClear(open, part.subarray(kept), base + kept, events);
    }
  }

  /** Keeps the beginning of a payload, as much as is ever asked for, and gives how much it took of `part`. */
  function keepSmall(part: Uint8Array): number {
    const kept = part.subarray(0, PROBE_BYTES - smallFilled);
    small.set(kept, smallFilled);
    smallFilled += kept.length;
    return kept.length;
  }

  function takeClear(open: OpenRecord, part: Uint8Array, base: number, events: TlsEvent[]): void {
    let done = 0;
    while (done < part.length && !isStopped()) {
      const messageAt = base + done === open.at + HEADER_BYTES ? open.at : base + done;
      const step = assembler.push(part.subarray(done), messageAt);
      if (step.kind === "more") return;
      if (step.kind === "bad") {
        giveUp(events, step.at, step.reason);
        return;
      }
      done += step.used;
      events.push({
        kind: "handshake",
        at: step.at,
        end: base + done,
        recordVersion: open.version,
        message: step.message,
      });
      if (step.message.type === "server_hello" && step.message.version >= TLS13 && !step.message.helloRetryRequest) {
        state = "encrypted";
        // What follows is encrypted, and never in this record (RFC 8446 §5.1).
        if (base + done < open.at + HEADER_BYTES + open.length) giveUp(events, base + done, "malformed");
      }
    }
  }

  function closeRecord(open: OpenRecord, events: TlsEvent[]): void {
    const span = { at: open.at, end: offset };
    switch (open.type) {
      case "handshake":
        if (open.clear) return;
        probing = false;
        events.push({
          kind: "encrypted",
          content: "handshake",
          length: open.length,
          ...span,
        });
        return;
      case "alert":
        // Two bytes are no encrypted alert: TLS 1.3 allows one in clear after the dummy ChangeCipherSpec.
        if (open.length === 2)
          events.push({
            kind: "alert",
            level: small[0] ?? 0,
            description: small[1] ?? 0,
            ...span,
          });
        else
          events.push({
            kind: "encrypted",
            content: "alert",
            length: open.length,
            ...span,
          });
        return;
      case "change_cipher_spec":
        changeCipher();
        events.push({ kind: "change_cipher_spec", ...span });
        return;
      case "application_data":
        if (state === "clear") state = "encrypted";
        events.push({ kind: open.type, length: open.length, ...span });
        return;
      case "heartbeat":
        events.push({ kind: open.type, length: open.length, ...span });
        return;
    }
  }

  /**
   * In TLS 1.3 a ChangeCipherSpec means nothing (RFC 8446 appendix D.4), and a
   * hello in clear may still follow it: the server's after its
   * HelloRetryRequest, the client's second after its first.
   */
  function changeCipher(): void {
    if (state !== "clear") return;
    if (assembler.last === "hello_retry_request") return;
    state = "encrypted";
    probing = from === "client" && assembler.last === "client_hello";
  }

  return {
    push,
    get state() {
      return state;
    },
  };
}

/** An encrypted Finished passes with a chance of 2^-40 or less: its first bytes are a nonce, or as good as random. */
function looksLikeClientHello(start: Uint8Array, recordLength: number): boolean {
  const length = ((start[1] ?? 0) << 16) | ((start[2] ?? 0) << 8) | (start[3] ?? 0);
  const fits = length + 4 === recordLength || (recordLength === MAX_CLEAR_BYTES && length + 4 > recordLength);
  return start[0] === 1 && start[4] === 3 && start[5] === 3 && fits;
}
