import type { Parsed } from "../../protocol/parsed.ts";
import type { Conn, ConnSink } from "./conn.ts";
import type { Expiring } from "./deadlines.ts";

/** What came of waiting for one message. */
export type ReadResult<T, Code extends string> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "bad"; readonly code: Code; readonly at: number }
  /** The cap is reached and the message is still incomplete. */
  | { readonly kind: "too_large" }
  /** `received` bytes of it came in time. */
  | { readonly kind: "timeout"; readonly received: number }
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
  return new PlainReader(conn, parse, limits.maxBytes).read(limits.deadlineMs);
}

const NO_BYTES = new Uint8Array(0);

/**
 * What `readMessage` does, for a class that is the parser and says what came of
 * it as well: one object then waits for the message, without a function to be
 * called back and without a second promise for the judgement.
 */
export abstract class MessageReader<T, Code extends string, Outcome> implements ConnSink, Expiring {
  readonly #conn: Conn;
  readonly #maxBytes: number;
  #over = false;
  /** What came of it, once it is over. */
  #outcome: Outcome | undefined;
  #waiting: PromiseWithResolvers<Outcome> | undefined;
  /** The turn of its deadline, once it waits. */
  #turn: number | undefined;
  /** Everything before the chunk that is being read is the first `#length` bytes. */
  #store: Uint8Array = NO_BYTES;
  #length = 0;

  constructor(conn: Conn, maxBytes: number) {
    this.#conn = conn;
    this.#maxBytes = maxBytes;
  }

  /** As the parsers of `protocol/`: gets all bytes so far. */
  protected abstract parse(bytes: Uint8Array): Parsed<T, Code>;
  /** Called once, when it is over. */
  protected abstract judge(result: ReadResult<T, Code>): Outcome;

  /** Attaches to the connection and reads. To be called once. */
  read(deadlineMs: number): Outcome | Promise<Outcome> {
    this.#conn.attach(this);
    if (this.#over) return this.#outcome as Outcome;
    this.#turn = this.#conn.timers.deadlines.start(this, deadlineMs);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  expire(): void {
    this.#finish({ kind: "timeout", received: this.#length });
  }

  data(chunk: Uint8Array): void {
    const isFirst = this.#length === 0;
    if (!isFirst) this.#append(chunk);
    const bytes = isFirst ? chunk : this.#store.subarray(0, this.#length);
    const parsed = this.parse(bytes);
    if (parsed.kind === "done") {
      this.#conn.detach();
      if (parsed.used < bytes.length) this.#conn.unread(bytes.subarray(parsed.used));
      this.#finish(parsed);
    } else if (parsed.kind === "bad") {
      this.#finish(parsed);
    } else if (bytes.length >= this.#maxBytes) {
      this.#finish({ kind: "too_large" });
    } else if (isFirst) {
      // Most messages come in one chunk and need no copy.
      this.#append(chunk);
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
    if (this.#over) return;
    this.#over = true;
    if (this.#turn !== undefined) this.#conn.timers.deadlines.stop(this, this.#turn);
    this.#conn.detach();
    this.#outcome = this.judge(result);
    this.#waiting?.resolve(this.#outcome);
  }
}

class PlainReader<T, Code extends string> extends MessageReader<T, Code, ReadResult<T, Code>> {
  readonly #parse: (bytes: Uint8Array) => Parsed<T, Code>;

  constructor(conn: Conn, parse: (bytes: Uint8Array) => Parsed<T, Code>, maxBytes: number) {
    super(conn, maxBytes);
    this.#parse = parse;
  }

  protected override parse(bytes: Uint8Array): Parsed<T, Code> {
    return this.#parse(bytes);
  }

  protected override judge(result: ReadResult<T, Code>): ReadResult<T, Code> {
    return result;
  }
}
