import { IPPROTO_TCP, TCP_KEEPCNT, TCP_KEEPINTVL } from "../libc/constants.ts";
import { openLibc } from "../libc/libc.ts";
import { BudgetTimer } from "./budget.ts";
import { Deadlines, Sweep } from "./deadlines.ts";
import { IdleWatch } from "./idle-watch.ts";

/** The timers that the connections of one event loop share. Whoever opens a loop, a listener or a lone connection makes them. */
export class LoopTimers {
  readonly deadlines = new Deadlines();
  readonly idle = new IdleWatch();
  readonly keepAlive = new KeepAlive();
  readonly budgets = new BudgetTimer();
}

/** A connection whose peer can vanish without a FIN. */
export interface Mortal {
  /** Descriptor of the TCP socket, or -1. */
  readonly fd: number;
  setKeepAlive(initialDelayMs: number): void;
}

/** Milliseconds that a connection lives, at least, before keep-alive is worth its system calls. */
const YOUNG_MS = 5000;
/** Silence before the first probe, time between probes, and unanswered probes before the connection is dead: two minutes in all. */
export const KEEP_ALIVE = { idleSeconds: 60, intervalSeconds: 15, count: 4 };

/**
 * Turns TCP keep-alive on for connections that live for 5 to 10 seconds, so that
 * vanished peers are noticed. Most connections close earlier, and cost an entry
 * in a set instead of four system calls.
 */
export class KeepAlive {
  #young = new Set<Mortal>();
  #older = new Set<Mortal>();
  readonly #sweep = new Sweep(YOUNG_MS, () => this.#look());

  add(conn: Mortal): void {
    this.#young.add(conn);
    this.#sweep.start();
  }

  remove(conn: Mortal): void {
    if (!this.#young.delete(conn)) this.#older.delete(conn);
  }

  #look(): boolean {
    for (const conn of this.#older) turnOnKeepAlive(conn);
    this.#older = this.#young;
    this.#young = new Set();
    return this.#older.size > 0;
  }
}

/** Turns keep-alive on now. Bun probes every second; where the C library is there, slow networks get more time. */
export function turnOnKeepAlive(conn: Mortal): void {
  conn.setKeepAlive(KEEP_ALIVE.idleSeconds * 1000);
  const libc = openLibc();
  const { fd } = conn;
  if (libc === undefined || fd < 0) return;
  libc.setSocketOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, Int32Array.of(KEEP_ALIVE.intervalSeconds));
  libc.setSocketOption(fd, IPPROTO_TCP, TCP_KEEPCNT, Int32Array.of(KEEP_ALIVE.count));
}
