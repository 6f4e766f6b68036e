import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import type { Expiring } from "../../net/conn/deadlines.ts";

/**
 * Limits for what a client sends after its last response: the longest pause, the
 * whole time, and bytes. A client that reads only after it has sent its whole body
 * must be able to finish, also on a slow line.
 */
const SILENCE_MS = 5000;
export const TOTAL_MS = 120_000;
const MAX_BYTES = 1024 * 1024 * 1024;
/** The longest pause while the proxy is draining. */
const HURRIED_SILENCE_MS = 1000;
/** Milliseconds from our close to the peer's: the TLS library waits for close_notify. */
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

  /** `closed` is called once, when the connection is closed. */
  constructor(conn: Conn, closed: () => void) {
    this.#conn = conn;
    this.#closed = closed;
  }

  /** Begins. The connection can be closed when this returns. `totalMs` limits how long it is read; 0 closes it at once. */
  begin(totalMs: number): void {
    this.#conn.detach();
    this.#totalMs = totalMs;
    this.#turn = this.#conn.timers.deadlines.start(this, Math.min(this.#silenceMs, totalMs));
    if (totalMs > 0) this.#conn.shutdown();
    // Delivers what has arrived, including the end.
    this.#conn.attach(this);
    if (totalMs === 0) this.#close();
  }

  /** Closes it now, because its slot is needed. The kernel still sends what it has, unless more bytes arrive. */
  giveUp(): void {
    this.#conn.close();
    // The first close of a TLS connection waits for the peer.
    this.#conn.close();
    this.#finish();
  }

  /** Allows only short pauses from now on, because the proxy is draining. */
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
    // Nothing is written here.
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
