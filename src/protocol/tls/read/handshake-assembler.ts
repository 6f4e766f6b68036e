import { HANDSHAKE_TYPE, type HandshakeMessage, parseHandshakeMessage } from "./handshake-message.ts";
import type { ServerHello } from "./server-hello.ts";

/** What came of a push: a whole message, none yet, or what is wrong. */
export type AssemblyStep = "done" | "more" | "not_tls" | "malformed" | "too_long";

const HEADER_BYTES = 4;
/** What is set aside for a message of which the beginning is there. It grows with what really comes. */
const FIRST_CAPACITY = 1024;
const NO_BYTES = new Uint8Array(0);

/**
 * Finds handshake messages in clear in the payloads of records. A message that
 * is whole in what is pushed is read where it is; one in pieces is collected.
 */
export class HandshakeAssembler {
  /** The offset given with the first byte of the last message. */
  startedAt = 0;
  /** The message that the last push completed, and how many of the bytes given with it belong to it. */
  message: HandshakeMessage | undefined;
  used = 0;
  /** What the last message was. */
  last: "nothing" | "client_hello" | "hello_retry_request" | "other" = "nothing";
  /** Of the hello that must come first. */
  readonly #firstType: number;
  readonly #maxBytes: number;
  readonly #skim: boolean;
  /** Of the message that was begun: how much of its header has come, and what it says. */
  #headerFilled = 0;
  #type = 0;
  #length = 0;
  #body: Uint8Array = NO_BYTES;
  #bodyFilled = 0;
  #serverHello: Pick<ServerHello, "version" | "cipherSuite"> | undefined;

  /** `maxBytes` bounds the body of a message. With `skim` only hellos and certificates are read; of other messages only type and size are told. */
  constructor(from: "client" | "server", maxBytes: number, skim: boolean) {
    this.#firstType = from === "client" ? HANDSHAKE_TYPE.clientHello : HANDSHAKE_TYPE.serverHello;
    this.#maxBytes = maxBytes;
    this.#skim = skim;
  }

  /** Whether a message is begun and not complete. */
  get busy(): boolean {
    return this.#headerFilled > 0;
  }

  /** Takes `bytes` from `start` to `end`, up to the end of one message at most. `offset` is where they stand in the stream. */
  push(bytes: Uint8Array, start: number, end: number, offset: number): AssemblyStep {
    if (this.#headerFilled === 0) this.startedAt = offset;
    let at = start;
    while (this.#headerFilled < HEADER_BYTES && at < end) this.#takeHeader(bytes[at++] ?? 0);
    const fault = this.#findFault();
    if (fault !== undefined) return fault;
    if (this.#headerFilled < HEADER_BYTES) return "more";
    const bodyEnd = at + this.#length - this.#bodyFilled;
    if (bodyEnd <= end && this.#bodyFilled === 0) return this.#finish(bytes, at, bodyEnd, bodyEnd - start);
    const partEnd = Math.min(bodyEnd, end);
    this.#collect(bytes, at, partEnd);
    return bodyEnd <= end ? this.#finish(this.#body, 0, this.#length, bodyEnd - start) : "more";
  }

  /** Forgets the message begun. */
  clear(): void {
    this.#headerFilled = 0;
    this.#length = 0;
    this.#body = NO_BYTES;
    this.#bodyFilled = 0;
  }

  #takeHeader(octet: number): void {
    if (this.#headerFilled === 0) this.#type = octet;
    else this.#length = this.#length * 256 + octet;
    this.#headerFilled += 1;
  }

  #findFault(): "not_tls" | "too_long" | undefined {
    if (this.last === "nothing" && this.#type !== this.#firstType) return "not_tls";
    return this.#headerFilled === HEADER_BYTES && this.#length > this.#maxBytes ? "too_long" : undefined;
  }

  #collect(bytes: Uint8Array, start: number, end: number): void {
    const filled = this.#bodyFilled + end - start;
    if (this.#isRead()) {
      if (filled > this.#body.length) this.#grow(filled);
      for (let at = start, to = this.#bodyFilled; at < end; at += 1, to += 1) this.#body[to] = bytes[at] ?? 0;
    }
    this.#bodyFilled = filled;
  }

  #grow(needed: number): void {
    const capacity = Math.max(needed, this.#body.length * 2, FIRST_CAPACITY);
    const larger = new Uint8Array(Math.min(capacity, this.#length));
    larger.set(this.#body);
    this.#body = larger;
  }

  /** Whether the contents of the message at hand are of interest. */
  #isRead(): boolean {
    if (!this.#skim) return true;
    const type = this.#type;
    return (
      type === HANDSHAKE_TYPE.clientHello || type === HANDSHAKE_TYPE.serverHello || type === HANDSHAKE_TYPE.certificate
    );
  }

  #finish(bytes: Uint8Array, start: number, end: number, used: number): AssemblyStep {
    const type = this.#type;
    const isRead = this.#isRead();
    // The message is a view of its body: the next one gets a buffer of its own.
    this.clear();
    const parsed = isRead ? parseHandshakeMessage(type, bytes, start, end, this.#serverHello) : undefined;
    if (parsed?.kind === "bad") return "malformed";
    const message: HandshakeMessage = parsed?.value ?? { type: "other", handshakeType: type, length: end - start };
    if (message.type === "server_hello") {
      // Not the view, whose bytes are the caller's.
      this.#serverHello = { version: message.version, cipherSuite: message.cipherSuite };
      this.last = message.helloRetryRequest ? "hello_retry_request" : "other";
    } else this.last = message.type === "client_hello" ? "client_hello" : "other";
    this.message = message;
    this.used = used;
    return "done";
  }
}
