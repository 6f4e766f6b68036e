import { IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPINTVL } from "../libc/constants.ts";
import { openLibc } from "../libc/libc.ts";

/** A connection that may be asked to notice when its peer is gone. */
export interface Mortal {
  /** Descriptor of the TCP socket, or -1. */
  readonly fd: number;
  setKeepAlive(initialDelayMs: number): void;
}

/** Milliseconds that a connection lives, at least, before it is worth the system calls. */
const YOUNG_MS = 5000;
/** Silence before the first question, time between questions, and how many remain unanswered: two minutes in all. */
export const KEEP_ALIVE = { idleSeconds: 60, intervalSeconds: 15, count: 4 };

/**
 * Turns TCP keep-alive on for connections that live for a while, so that peers
 * which vanished are noticed. Most connections are gone before, and pay one
 * entry in a set for it instead of four system calls.
 */
export class KeepAlive {
  #young = new Set<Mortal>();
  #older = new Set<Mortal>();
  #timer: Timer | undefined;

  add(conn: Mortal): void {
    this.#young.add(conn);
    this.#timer ??= setInterval(() => this.#look(), YOUNG_MS).unref();
  }

  remove(conn: Mortal): void {
    if (!this.#young.delete(conn)) this.#older.delete(conn);
  }

  #look(): void {
    for (const conn of this.#older) turnOnKeepAlive(conn);
    this.#older = this.#young;
    this.#young = new Set();
    if (this.#older.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** Turns keep-alive on now. Bun asks every second; where the system allows it, we are more patient with slow networks. */
export function turnOnKeepAlive(conn: Mortal): void {
  conn.setKeepAlive(KEEP_ALIVE.idleSeconds * 1000);
  const libc = openLibc();
  const { fd } = conn;
  if (libc === undefined || fd < 0) return;
  libc.setSocketOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, Int32Array.of(KEEP_ALIVE.intervalSeconds));
  libc.setSocketOption(fd, IPPROTO_TCP, TCP_KEEPCNT, Int32Array.of(KEEP_ALIVE.count));
}
