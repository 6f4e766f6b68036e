import { Duplex } from "node:stream";
import type { Conn } from "./conn.ts";

/** A connection as a stream, for what speaks streams: back-pressure, half-close and reset go through. */
export class ConnDuplex extends Duplex {
  readonly #conn: Conn;
  /** What the connection had no room for, and who is told once it has. */
  #rest: Uint8Array | undefined;
  #written: ((error?: Error | null) => void) | undefined;

  /** `conn` must be detached; the stream is its consumer from now on. */
  constructor(conn: Conn) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
    conn.attach({
      data: (chunk) => {
        // The chunk may live on in the stream's buffer, longer than it is ours.
        if (!this.push(Buffer.from(chunk))) conn.pause();
      },
      end: () => this.push(null),
      drain: () => this.#continue(),
      close: (reset) => this.destroy(reset ? new ResetError() : undefined),
    });
  }

  override _read(): void {
    this.#conn.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, written: (error?: Error | null) => void): void {
    this.#rest = chunk;
    this.#written = written;
    this.#continue();
  }

  override _final(finished: (error?: Error | null) => void): void {
    this.#conn.shutdown();
    finished();
  }

  override _destroy(error: Error | null, destroyed: (error?: Error | null) => void): void {
    if (error === null) this.#conn.close();
    else this.#conn.reset();
    destroyed(error);
  }

  #continue(): void {
    if (this.#rest === undefined) return;
    const taken = this.#conn.write(this.#rest);
    if (taken >= 0 && taken < this.#rest.length) {
      this.#rest = this.#rest.subarray(taken);
      return;
    }
    const written = this.#written;
    this.#rest = undefined;
    this.#written = undefined;
    written?.(taken < 0 ? new ResetError() : null);
  }
}

/** In the words of Node, which those who speak streams understand. */
class ResetError extends Error {
  readonly code = "ECONNRESET";

  constructor() {
    super("read ECONNRESET");
  }
}
