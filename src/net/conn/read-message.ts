import type { Parsed } from "../../protocol/parsed.ts";
import type { Conn, ConnSink } from "./conn.ts";
import type { Expiring } from "./deadlines.ts";
import { HeldBytes } from "../../protocol/held-bytes.ts";

/** The result of reading one message. `received` counts its bytes that came. */
export type ReadResult<T, Code extends string> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "bad"; readonly code: Code; readonly at: number }
  /** The message is incomplete at the cap. */
  | { readonly kind: "too_large" }
  | { readonly kind: "timeout"; readonly received: number }
  /** The peer ended or reset the connection before the message was complete. */
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
 * `parse` gets all bytes so far each time more arrive; a parser that remembers
 * its position does not read them twice. A message that waits already is read
 * at once, without a promise and without a timer.
 */
export function readMessage<T, Code extends string>(
  conn: Conn,
  parse: (bytes: Uint8Array) => Parsed<T, Code>,
  limits: ReadLimits,
): ReadResult<T, Code> | Promise<ReadResult<T, Code>> {
  return new PlainReader(conn, parse, limits.maxBytes).read(limits.deadlineMs);
}

/**
 * `readMessage` as a base class, for a reader that is the parser and judges the
 * result too: one object per message, no callback, no second promise.
 */
export abstract class MessageReader<T, Code extends string, Outcome> implements ConnSink, Expiring {
  readonly #conn: Conn;
  readonly #maxBytes: number;
  #over = false;
  /** Set when it is over. */
  #outcome: Outcome | undefined;
  #waiting: PromiseWithResolvers<Outcome> | undefined;
  /** The turn of its deadline, once it waits. */
  #turn: number | undefined;
  /** The chunks so far: most messages come in one and need no copy. */
  #held: HeldBytes | undefined;

  constructor(conn: Conn, maxBytes: number) {
    this.#conn = conn;
    this.#maxBytes = maxBytes;
  }

  /** As the parsers of `protocol/`: gets all bytes so far. */
  protected abstract parse(bytes: Uint8Array): Parsed<T, Code>;
  /** Called once, when it is over. */
  protected abstract judge(result: ReadResult<T, Code>): Outcome;

  /** Attaches to the connection and reads. Call it once. */
  read(deadlineMs: number): Outcome | Promise<Outcome> {
    this.#conn.attach(this);
    if (this.#over) return this.#outcome as Outcome;
    this.#turn = this.#conn.timers.deadlines.start(this, deadlineMs);
    this.#waiting = Promise.withResolvers();
    return this.#waiting.promise;
  }

  expire(): void {
    this.#finish({ kind: "timeout", received: this.#received });
  }

  data(chunk: Uint8Array): void {
    const bytes = this.#held === undefined ? chunk : this.#held.append(chunk);
    const parsed = this.parse(bytes);
    if (parsed.kind === "done") {
      this.#conn.detach();
      if (parsed.used < bytes.length) this.#conn.unread(bytes.subarray(parsed.used));
      this.#finish(parsed);
    } else if (parsed.kind === "bad") {
      this.#finish(parsed);
    } else if (bytes.length >= this.#maxBytes) {
      this.#finish({ kind: "too_large" });
    } else if (this.#held === undefined) {
      this.#held = new HeldBytes();
      this.#held.append(chunk);
    }
  }

  end(): void {
    this.close(false);
  }

  drain(): void {
    // A handshake writes less than a socket buffer holds.
  }

  close(reset: boolean): void {
    this.#finish({ kind: "closed", reset, received: this.#received });
  }

  get #received(): number {
    return this.#held?.length ?? 0;
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
