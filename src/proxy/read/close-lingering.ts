import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import type { Expiring } from "../../net/conn/deadlines.ts";

/**
 * How long a client that was told the last response may go on sending: without a
 * pause, in all, and how much. A program that reads only after it has sent its
 * whole body must get there, on a slow line too.
 */
const SILENCE_MS = 5000;
export const TOTAL_MS = 120_000;
const MAX_BYTES = 1024 * 1024 * 1024;
/** The silence that is granted while the proxy shuts down. */
const HURRIED_SILENCE_MS = 1000;
/** How long a connection that was closed here may wait for its peer: the TLS library waits for the peer's close_notify. */
const CLOSING_MS = 1000;

/**
 * Closes a connection so that the last response arrives. Closing with unread
 * bytes makes the kernel send RST, which can destroy a response that the peer has
 * not read yet (RFC 9112 §9.6): so send FIN (after TLS: close_notify first), read
 * on and discard until the peer ends too, and only then close.
 */
export class LingeringClose implements ConnSink, Expiring {
  readonly #conn: Conn;
  readonly #closed: () => void;
  readonly #since = performance.now();
  #totalMs = TOTAL_MS;
  #lastActivity = this.#since;
  #bytes = 0;
  #silenceMs = SILENCE_MS;
  #turn: number | undefined;
  #closing = false;
  #over = false;

  /** `closed` is called once, when the connection is gone or given up. */
  constructor(conn: Conn, closed: () => void) {
    this.#conn = conn;
    this.#closed = closed;
  }

  /** Begins; the connection may be gone already when this returns. `totalMs`: how long to read on at the most; 0 for not at all. */
  begin(totalMs: number): void {
    this.#conn.detach();
    this.#totalMs = totalMs;
    this.#turn = this.#conn.timers.deadlines.start(this, Math.min(this.#silenceMs, totalMs));
    if (totalMs > 0) this.#conn.shutdown();
    // What waits there already is delivered here, the end too.
    this.#conn.attach(this);
    if (totalMs === 0) this.#close();
  }

  /** Gives it up now: somebody else needs the room. What the kernel has taken still goes out, unless more comes. */
  giveUp(): void {
    this.#conn.close();
    // TLS waits for the peer the first time.
    this.#conn.close();
    this.#finish();
  }

  /** The proxy is shutting down: who says nothing is not waited for as long. */
  hurry(): void {
    this.#silenceMs = HURRIED_SILENCE_MS;
    if (!this.#closing) this.expire();
  }

  expire(): void {
    if (this.#over) return;
    if (this.#closing) {
      this.giveUp();
      return;
    }
    const now = performance.now();
    const leftMs = Math.min(this.#lastActivity + this.#silenceMs, this.#since + this.#totalMs) - now;
    if (leftMs <= 0) this.#close();
    else this.#restart(leftMs);
  }

  data(chunk: Uint8Array): void {
    this.#lastActivity = performance.now();
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_BYTES) this.#close();
  }

  end(): void {
    this.#close();
  }

  drain(): void {
    // Everything was written before.
  }

  close(): void {
    this.#finish();
  }

  #close(): void {
    if (this.#over || this.#closing) return;
    this.#closing = true;
    this.#conn.close();
    if (this.#conn.closed) this.#finish();
    else this.#restart(CLOSING_MS);
  }

  #restart(ms: number): void {
    this.#stop();
    this.#turn = this.#conn.timers.deadlines.start(this, ms);
  }

  #stop(): void {
    if (this.#turn !== undefined) this.#conn.timers.deadlines.stop(this, this.#turn);
  }

  #finish(): void {
    if (this.#over) return;
    this.#over = true;
    this.#stop();
    this.#closed();
  }
}
