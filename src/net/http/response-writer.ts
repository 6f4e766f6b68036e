import type { Conn, ConnSink } from "../conn/conn.ts";

/** Bytes of further requests that may wait while one is answered. */
const HELD_BYTES = 64 * 1024;

/**
 * The consumer of a connection while a request on it is answered: writes with
 * back-pressure, keeps what the client sends meanwhile, and notices when it leaves.
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
  readonly #held: Uint8Array[] = [];
  #heldBytes = 0;
  #unwritten: Uint8Array | undefined;
  #written: PromiseWithResolvers<boolean> | undefined;

  constructor(conn: Conn) {
    this.#conn = conn;
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

  /** Gives the connection back, with what came meanwhile unread. */
  release(): void {
    this.#conn.detach();
    if (this.#held.length > 0) this.#conn.unread(Buffer.concat(this.#held));
  }

  data(chunk: Uint8Array): void {
    this.#held.push(new Uint8Array(chunk));
    this.#heldBytes += chunk.length;
    // Who sends on and on while a stream is under way is not heard any more, and its end neither.
    if (this.#heldBytes >= HELD_BYTES) this.#conn.pause();
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
