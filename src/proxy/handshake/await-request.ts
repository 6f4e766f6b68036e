import type { Conn, ConnSink } from "../../net/conn.ts";
import { unwatchIdle, type Watched, watchIdle } from "../tunnel/idle-watch.ts";

/**
 * Waits until the next request begins to arrive on a connection that was kept,
 * for at most `idleMs`. True when it does; its bytes are unread then. The
 * connection is detached either way, and still to be closed when it is false.
 * Meanwhile the wait is in `waiting`, where it can be made to expire.
 */
export function awaitRequest(client: Conn, idleMs: number, waiting: Set<Watched>): boolean | Promise<boolean> {
  if (client.closed) return false;
  // Pipelined: it is here already.
  if (client.unreadBytes > 0) return true;
  if (idleMs <= 0) return false;
  return new Promise((resolve) => {
    client.attach(new Waiter(client, idleMs, waiting, resolve));
  });
}

class Waiter implements ConnSink, Watched {
  readonly lastActivity = performance.now();
  readonly #client: Conn;
  readonly #waiting: Set<Watched>;
  readonly #resolve: (came: boolean) => void;
  readonly #idleMs: number;

  constructor(client: Conn, idleMs: number, waiting: Set<Watched>, resolve: (came: boolean) => void) {
    this.#client = client;
    this.#waiting = waiting;
    this.#resolve = resolve;
    this.#idleMs = idleMs;
    watchIdle(this, idleMs);
    waiting.add(this);
  }

  data(chunk: Uint8Array): void {
    this.#finish(true);
    this.#client.unread(chunk);
  }

  end(): void {
    this.#finish(false);
  }

  drain(): void {
    // The response before was taken whole.
  }

  close(): void {
    this.#finish(false);
  }

  expire(): void {
    this.#finish(false);
  }

  /** A second call finds nothing left to do. */
  #finish(came: boolean): void {
    unwatchIdle(this, this.#idleMs);
    this.#waiting.delete(this);
    this.#client.detach();
    this.#resolve(came);
  }
}
