import type { Parsed } from "../protocol/parsed.ts";
import type { Conn, ConnSink } from "./conn.ts";
import { deadlines, type Expiring } from "./deadlines.ts";

/** What came of waiting for one message. */
export type ReadResult<T, Code extends string> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "bad"; readonly code: Code; readonly at: number }
  /** The cap is reached and the message is still incomplete. */
  | { readonly kind: "too_large" }
  | { readonly kind: "timeout" }
  /** The peer ended or reset the connection before the message was complete; `received` bytes of it came. */
  | { readonly kind: "closed"; readonly reset: boolean; readonly received: number };

export interface ReadLimits {
  /** Milliseconds from now. */
  readonly deadlineMs: number;
  readonly maxBytes: number;
}

/**
 * Reads one message from a detached connection with a pure parser, and leaves
 * the connection detached with every byte after the message unread.
 *
 * `parse` is called with all bytes so far each time more arrive, so a parser
 * that remembers where it was saves the second look. A message that waits
 * already is read at once, without a promise and without a timer.
 */
export function readMessage<T, Code extends string>(
  conn: Conn,
  parse: (bytes: Uint8Array) => Parsed<T, Code>,
  limits: ReadLimits,
): ReadResult<T, Code> | Promise<ReadResult<T, Code>> {
  const reader = new MessageReader(conn, parse, limits.maxBytes);
  conn.attach(reader);
  return reader.result ?? reader.wait(limits.deadlineMs);
}

const NO_BYTES = new Uint8Array(0);

class MessageReader<T, Code extends string> implements ConnSink, Expiring {
  readonly #conn: Conn;
  readonly #parse: (bytes: Uint8Array) => Parsed<T, Code>;
  readonly #maxBytes: number;
  /** What came of it, once it is over. */
  result: ReadResult<T, Code> | undefined;
  #resolve: ((result: ReadResult<T, Code>) => void) | undefined;
  /** The turn of its deadline, once it waits. */
  #turn: number | undefined;
  /** Everything so far is the first `#length` bytes; the first chunk is used as it came. */
  #store: Uint8Array = NO_BYTES;
  #length = 0;

  constructor(conn: Conn, parse: (bytes: Uint8Array) => Parsed<T, Code>, maxBytes: number) {
    this.#conn = conn;
    this.#parse = parse;
    this.#maxBytes = maxBytes;
  }

  wait(ms: number): Promise<ReadResult<T, Code>> {
    this.#turn = deadlines.start(this, ms);
    return new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  expire(): void {
    this.#finish({ kind: "timeout" });
  }

  data(chunk: Uint8Array): void {
    this.#append(chunk);
    const bytes = this.#length === this.#store.length ? this.#store : this.#store.subarray(0, this.#length);
    const parsed = this.#parse(bytes);
    if (parsed.kind === "done") {
      this.#conn.detach();
      if (parsed.used < bytes.length) this.#conn.unread(bytes.subarray(parsed.used));
      this.#finish({ kind: "done", value: parsed.value });
    } else if (parsed.kind === "bad") {
      this.#finish({ kind: "bad", code: parsed.code, at: parsed.at });
    } else if (this.#length >= this.#maxBytes) {
      this.#finish({ kind: "too_large" });
    }
  }

  end(): void {
    this.#finish({ kind: "closed", reset: false, received: this.#length });
  }

  drain(): void {
    // Whoever writes during a handshake writes less than a socket buffer.
  }

  close(reset: boolean): void {
    this.#finish({ kind: "closed", reset, received: this.#length });
  }

  /** Doubles the store when it is full, so that a byte at a time costs no more than a few copies. */
  #append(chunk: Uint8Array): void {
    if (this.#length === 0) {
      this.#store = chunk;
      this.#length = chunk.length;
      return;
    }
    const length = this.#length + chunk.length;
    if (length > this.#store.length) {
      const grown = new Uint8Array(Math.max(length, this.#store.length * 2));
      grown.set(this.#store.subarray(0, this.#length));
      this.#store = grown;
    }
    this.#store.set(chunk, this.#length);
    this.#length = length;
  }

  #finish(result: ReadResult<T, Code>): void {
    if (this.result !== undefined) return;
    this.result = result;
    if (this.#turn !== undefined) deadlines.stop(this, this.#turn);
    this.#conn.detach();
    this.#resolve?.(result);
  }
}
