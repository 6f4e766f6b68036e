import type { Ip } from "../../address/ip.ts";
import type { Conn, ConnSink } from "../../net/conn.ts";

/** A connection to an origin, or to the upstream that forwards to it. */
export interface Origin {
  readonly conn: Conn;
  /** `ip:port` that was dialled. */
  readonly address: string;
  /** The address that was dialled, when it is the target's own. */
  readonly ip: Ip | undefined;
  /** Another exchange went over it before this one. */
  reused: boolean;
}

/** What the pool asks of a connection that it is to keep. */
export interface Keeping {
  /** Connections with the same key do the same for everybody who gets that key. */
  readonly key: string;
  readonly idleMs: number;
  /** The most that are kept: in all, and with this key. */
  readonly total: number;
  readonly perKey: number;
}

/** How often connections that were idle too long are looked for. */
const SWEEP_MS = 1000;

/**
 * Idle connections to origins, for the next request with the same key: the last
 * one put in is the first one taken. A connection that closes, or says anything
 * while nobody asked, is gone from here at once.
 */
export class OriginPool {
  /** The oldest first. */
  readonly #idle = new Set<IdleOrigin>();
  readonly #byKey = new Map<string, IdleOrigin[]>();
  #sweeper: Timer | undefined;
  #closed = false;

  get size(): number {
    return this.#idle.size;
  }

  /**
   * Takes a connection that `fits` and has been idle for at most `maxIdleMs`;
   * undefined when there is none. It is detached.
   */
  take(key: string, fits: (ip: Ip | undefined) => boolean, maxIdleMs = Number.POSITIVE_INFINITY): Origin | undefined {
    const list = this.#byKey.get(key);
    if (list === undefined) return undefined;
    const earliest = maxIdleMs === Number.POSITIVE_INFINITY ? -1 : performance.now() - maxIdleMs;
    for (let index = list.length - 1; index >= 0; index--) {
      const idle = list[index] as IdleOrigin;
      // What lies below is older still.
      if (idle.since < earliest) return undefined;
      if (!fits(idle.origin.ip)) continue;
      this.#remove(idle);
      idle.origin.conn.detach();
      idle.origin.reused = true;
      return idle.origin;
    }
    return undefined;
  }

  /** Keeps a detached connection, or closes it when there is no room. */
  put(origin: Origin, keeping: Keeping): void {
    const { conn } = origin;
    if (this.#closed || conn.closed || keeping.idleMs === 0 || keeping.total === 0 || keeping.perKey === 0) {
      conn.close();
      return;
    }
    let list = this.#byKey.get(keeping.key);
    if (list === undefined) {
      list = [];
      this.#byKey.set(keeping.key, list);
    } else if (list.length >= keeping.perKey) {
      this.#drop(list[0] as IdleOrigin);
      // The list may have been emptied and forgotten.
      this.#byKey.set(keeping.key, list);
    }
    const now = performance.now();
    const idle = new IdleOrigin(origin, keeping.key, now, now + keeping.idleMs, () => this.#drop(idle));
    list.push(idle);
    this.#idle.add(idle);
    for (const oldest of this.#idle) {
      if (this.#idle.size <= keeping.total) break;
      this.#drop(oldest);
    }
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    // What waits there already is delivered here: then it is dropped at once.
    conn.attach(idle);
  }

  /** Closes all that are idle, and from now on whatever is put in. */
  close(): void {
    this.#closed = true;
    for (const idle of this.#idle) this.#drop(idle);
  }

  #sweep(): void {
    const now = performance.now();
    for (const idle of this.#idle) if (idle.until <= now) this.#drop(idle);
    if (this.#idle.size > 0) return;
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
  }

  #drop(idle: IdleOrigin): void {
    if (!this.#remove(idle)) return;
    idle.origin.conn.detach();
    idle.origin.conn.close();
  }

  #remove(idle: IdleOrigin): boolean {
    if (!this.#idle.delete(idle)) return false;
    const list = this.#byKey.get(idle.key) ?? [];
    const index = list.lastIndexOf(idle);
    if (index >= 0) list.splice(index, 1);
    if (list.length === 0) this.#byKey.delete(idle.key);
    return true;
  }
}

class IdleOrigin implements ConnSink {
  readonly origin: Origin;
  readonly key: string;
  /** Monotonic milliseconds. */
  readonly since: number;
  readonly until: number;
  readonly #drop: () => void;

  constructor(origin: Origin, key: string, since: number, until: number, drop: () => void) {
    this.origin = origin;
    this.key = key;
    this.since = since;
    this.until = until;
    this.#drop = drop;
  }

  data(): void {
    this.#drop();
  }

  end(): void {
    this.#drop();
  }

  drain(): void {
    // Everything was written before it came here.
  }

  close(): void {
    this.#drop();
  }
}
