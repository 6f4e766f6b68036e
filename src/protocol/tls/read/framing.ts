import { HeldBytes } from "../../held-bytes.ts";
import { ByteReader, readUint16 } from "./byte-reader.ts";

/** What a TLS record carries, RFC 8446 §5.1 and RFC 6520. */
export type ContentType = "change_cipher_spec" | "alert" | "handshake" | "application_data" | "heartbeat";

/** The bytes before the payload of a record: type, version, length. */
export const RECORD_HEADER_BYTES = 5;

const TYPES: readonly ContentType[] = ["change_cipher_spec", "alert", "handshake", "application_data", "heartbeat"];
const FIRST_TYPE = 20;
/** RFC 5246 §6.2.3; TLS 1.3 allows only 256 bytes more than 2^14. */
const MAX_PAYLOAD_BYTES = (1 << 14) + 2048;

/** What the record carries whose header begins at `at`; undefined when the header is not valid: of another type, not of SSL 3.0 to TLS 1.3, or too long. */
export function readContentType(bytes: Uint8Array, at: number): ContentType | undefined {
  if (bytes[at + 1] !== 3 || (bytes[at + 2] ?? 0) > 4) return undefined;
  if (readUint16(bytes, at + 3) > MAX_PAYLOAD_BYTES) return undefined;
  return TYPES[(bytes[at] ?? 0) - FIRST_TYPE];
}

/** Before the body of a handshake message: its type, and its length in three bytes (RFC 8446 §4). */
export const MESSAGE_HEADER_BYTES = 4;

/** Bytes of the body of the message that begins at `at`. */
export function readMessageLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + 1] ?? 0) * 65_536 + readUint16(bytes, at + 2);
}

/** A handshake message that comes in pieces. */
export class MessagePieces {
  readonly #held = new HeldBytes();

  get type(): number {
    return this.#held.bytes[0] ?? 0;
  }

  /** Bytes of the body, as its header says; 0 while that is not all there. */
  get length(): number {
    return this.#held.length < MESSAGE_HEADER_BYTES ? 0 : readMessageLength(this.#held.bytes, 0);
  }

  get isWhole(): boolean {
    return this.#held.length >= MESSAGE_HEADER_BYTES && this.#held.length === MESSAGE_HEADER_BYTES + this.length;
  }

  /** The body of a whole message. Nothing else refers to its bytes. */
  open(): ByteReader {
    return new ByteReader(this.#held.bytes, MESSAGE_HEADER_BYTES);
  }

  /** Copies bytes from `start` to `end`, up to the end of the message. Gives the offset after the last one taken. */
  take(bytes: Uint8Array, start: number, end: number): number {
    const bodyAt = this.#append(bytes, start, Math.min(end, start + MESSAGE_HEADER_BYTES - this.#held.length));
    if (this.#held.length < MESSAGE_HEADER_BYTES) return bodyAt;
    return this.#append(bytes, bodyAt, Math.min(end, bodyAt + MESSAGE_HEADER_BYTES + this.length - this.#held.length));
  }

  #append(bytes: Uint8Array, start: number, end: number): number {
    if (end <= start) return start;
    this.#held.append(bytes.subarray(start, end));
    return end;
  }
}
