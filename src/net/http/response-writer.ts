import type { Conn, ConnSink } from "../conn/conn.ts";
import { HeldBytes } from "../../protocol/held-bytes.ts";

/** Bytes of the next requests that may wait while one is answered. */
const HELD_BYTES = 64 * 1024;

/**
 * The sink of a connection while a request is answered: writes with
 * back-pressure, holds what the client sends, and notices when it leaves.
 */
export class ResponseWriter implements ConnSink {
  /** The client is gone. */
  gone = false;
  /** The client sent FIN. */
  ended = false;
  /** Called once, when the client leaves; also at its FIN if `leavesAtEnd`. */
  whenGone: (() => void) | undefined;
  leavesAtEnd = false;
  readonly #conn: Conn;
  readonly #held = new HeldBytes();
  #unwritten: Uint8Array | undefined;
  #written: PromiseWithResolvers<boolean> | undefined;

  readonly #take: ((chunk: Uint8Array) => void) | undefined;

  /** `take` gets what the client sends, lent for the call, instead of it being held. */
  constructor(conn: Conn, take?: (chunk: Uint8Array) => void) {
    this.#conn = conn;
    this.#take = take;
    conn.attach(this);
  }

  /** True once the system has taken all of it, false when the client left before. */
  write(bytes: Uint8Array): Promise<boolean> {
    if (this.gone) return Promise.resolve(false);
    this.#unwritten = bytes;
    this.#written = Promise.withResolvers();
    const { promise } = this.#written;
    this.drain();
    return promise;
  }

  /** Detaches from the connection. What came meanwhile is unread. */
  release(): void {
    this.#conn.detach();
    if (this.#held.length > 0) this.#conn.unread(this.#held.bytes);
  }

  data(chunk: Uint8Array): void {
    if (this.#take !== undefined) this.#take(chunk);
    // From here on the client's FIN is not noticed either.
    else if (this.#held.append(chunk).length >= HELD_BYTES) this.#conn.pause();
  }

  end(): void {
    this.ended = true;
    if (this.leavesAtEnd) this.#leave();
  }

  drain(): void {
    const bytes = this.#unwritten;
    if (bytes === undefined) return;
    const taken = this.#conn.write(bytes);
    if (taken < 0) {
      this.#leave();
    } else if (taken === bytes.length) {
      this.#unwritten = undefined;
      this.#written?.resolve(true);
    } else {
      this.#unwritten = bytes.subarray(taken);
    }
  }

  close(): void {
    this.#leave();
  }

  #leave(): void {
    if (this.gone) return;
    this.gone = true;
    this.#unwritten = undefined;
    this.#written?.resolve(false);
    this.whenGone?.();
  }
}
