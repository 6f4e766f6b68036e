import { Duplex } from "node:stream";
import type { Conn } from "./conn.ts";

/** A detached connection as a stream of Node, for code that takes only streams. */
export class ConnStream extends Duplex {
  readonly #conn: Conn;
  /** The bytes that the socket did not take yet, and the callback of their write. */
  #rest: Uint8Array | undefined;
  #written: ((error?: Error | null) => void) | undefined;
  #attached = false;

  constructor(conn: Conn) {
    super({ allowHalfOpen: true });
    this.#conn = conn;
  }

  override _construct(done: (error?: Error | null) => void): void {
    done();
    this.#attach();
  }

  #attach(): void {
    this.#attached = true;
    this.#conn.attach({
      data: (chunk) => {
        // The stream keeps what it is given.
        if (!this.push(Buffer.from(chunk))) this.#conn.pause();
      },
      end: () => void this.push(null),
      drain: () => this.#flush(),
      close: (reset) => {
        if (reset) this.destroy(createResetError());
        else if (!this.readableEnded) this.push(null);
        this.#tellWritten(reset ? createResetError() : undefined);
      },
    });
  }

  override _read(): void {
    if (this.#attached && !this.#conn.closed) this.#conn.resume();
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    this.#rest = chunk;
    this.#written = done;
    this.#flush();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#conn.shutdown();
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#conn.closed) {
      if (error === null) this.#conn.close();
      else this.#conn.reset();
    }
    done(error);
  }

  #flush(): void {
    const rest = this.#rest;
    if (rest === undefined) return;
    const taken = this.#conn.write(rest);
    if (taken < 0) this.#tellWritten(createResetError());
    else if (taken < rest.length) this.#rest = rest.subarray(taken);
    else this.#tellWritten();
  }

  #tellWritten(error?: Error): void {
    const told = this.#written;
    this.#rest = undefined;
    this.#written = undefined;
    told?.(error);
  }
}

function createResetError(): Error {
  return Object.assign(new Error("The connection was reset"), { code: "ECONNRESET" });
}
