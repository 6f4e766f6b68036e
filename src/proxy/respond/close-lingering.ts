import type { Conn, ConnSink } from "../../net/conn.ts";

/** How long, and for how many bytes, a client that goes on sending is listened to after its refusal. */
const LINGER_MS = 2000;
const LINGER_BYTES = 256 * 1024;

/**
 * Closes a connection so that the last response gets through. Closing with
 * unread bytes makes the kernel send RST, and RST can destroy a response that
 * the peer has not read yet (RFC 9112 §9.6): so send FIN, read on for a little
 * while, and only then close.
 */
export function closeLingering(conn: Conn): void {
  conn.detach();
  conn.attach(new Lingerer(conn));
  conn.shutdown();
}

class Lingerer implements ConnSink {
  readonly #conn: Conn;
  readonly #timer: Timer;
  #bytes = 0;

  constructor(conn: Conn) {
    this.#conn = conn;
    this.#timer = setTimeout(() => this.#close(), LINGER_MS);
  }

  data(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#bytes > LINGER_BYTES) this.#close();
  }

  end(): void {
    this.#close();
  }

  drain(): void {
    // Everything was written before: a refusal is smaller than a socket buffer.
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #close(): void {
    clearTimeout(this.#timer);
    this.#conn.close();
  }
}
