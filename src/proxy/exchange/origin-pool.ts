import type { Ip } from "../../address/ip.ts";
import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import { Sweep } from "../../net/conn/deadlines.ts";
import type { DialledAddress } from "../dial/connect-race.ts";

/** A connection to an origin, or to the upstream that forwards to it. */
export interface Origin {
  readonly conn: Conn;
  readonly address: DialledAddress;
  /** The address that was dialled, when it is the target's own. */
  readonly ip: Ip | undefined;
  /** Another exchange went over it before this one. */
  readonly reused: boolean;
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

/** How often connections that were idle too long are looked for: they end so much late at most. */
const SWEEP_MS = 1000;

/** In place of a time. */
const UNKNOWN = 0;

/**
 * Idle connections to origins, for the next request with the same key: the last
 * one put in is the first one taken. A connection that closes, or says anything
 * while nobody asked, is gone from here at once.
 */
export class OriginPool {
  /** Oldest first. A list may be empty until the next sweep: most are wanted again soon. */
  readonly #byKey = new Map<string, IdleOrigin[]>();
  #size = 0;
  /** Connections that were put in so far. */
  #puts = 0;
  readonly #sweep = new Sweep(SWEEP_MS, () => this.#look());
  #closed = false;
  readonly #dropIdle = (gone: IdleOrigin): void => this.#drop(gone);

  get size(): number {
    return this.#size;
  }

  /** Takes a connection that `fits`; undefined when there is none. It is detached. */
  take(key: string, fits: (ip: Ip | undefined) => boolean): Origin | undefined {
    const list = this.#byKey.get(key);
    if (list === undefined) return undefined;
    for (let index = list.length - 1; index >= 0; index--) {
      const idle = list[index] as IdleOrigin;
      if (!fits(idle.ip)) continue;
      if (index === list.length - 1) list.pop();
      else list.splice(index, 1);
      this.#size -= 1;
      idle.conn.detach();
      return idle;
    }
    return undefined;
  }

  /** Whether a connection was taken from here. */
  owns(origin: Origin): origin is IdleOrigin {
    return origin instanceof IdleOrigin && origin.drop === this.#dropIdle;
  }

  /** Keeps a detached connection, or closes it when there is no room. */
  put(origin: Origin, { key, idleMs, total, perKey }: Keeping): void {
    const { conn } = origin;
    if (this.#closed || conn.closed || idleMs === 0 || total === 0 || perKey === 0) {
      closeOrigin(conn);
      return;
    }
    let list = this.#byKey.get(key);
    if (list === undefined) {
      list = [];
      this.#byKey.set(key, list);
    }
    if (list.length >= perKey) this.#drop(list[0] as IdleOrigin);
    if (this.#size >= total) this.#dropOldestOfAll();
    // What was taken from here is put back as it is.
    const idle = this.owns(origin) ? origin : new IdleOrigin(origin, this.#dropIdle);
    this.#puts += 1;
    idle.rest(list, this.#puts, idleMs);
    list.push(idle);
    this.#size += 1;
    this.#sweep.start();
    // What waits there already is delivered here: then it is dropped at once.
    conn.attach(idle);
  }

  /** Closes the oldest one with that key. */
  dropOldest(key: string): void {
    const oldest = this.#byKey.get(key)?.[0];
    if (oldest !== undefined) this.#drop(oldest);
  }

  /** Closes those with that key. */
  drop(key: string): void {
    for (const idle of this.#byKey.get(key)?.slice() ?? []) this.#drop(idle);
    this.#byKey.delete(key);
  }

  /** Closes all that are idle, and from now on whatever is put in. */
  close(): void {
    this.#closed = true;
    this.clear();
  }

  /** Takes back `close`: connections are kept again. */
  reopen(): void {
    this.#closed = false;
  }

  /** Closes all that are idle. */
  clear(): void {
    for (const list of this.#byKey.values()) for (const idle of list.slice()) this.#drop(idle);
  }

  /** Closes those that were idle too long. Returns whether any are left. */
  #look(): boolean {
    const now = performance.now();
    for (const [key, list] of this.#byKey) {
      for (const idle of list.slice()) {
        // To look at the clock here is cheaper than for each connection that is put in.
        if (idle.until === UNKNOWN) idle.until = now + idle.idleMs;
        else if (idle.until <= now) this.#drop(idle);
      }
      if (list.length === 0) this.#byKey.delete(key);
    }
    return this.#byKey.size > 0;
  }

  #dropOldestOfAll(): void {
    let oldest: IdleOrigin | undefined;
    for (const [first] of this.#byKey.values()) {
      if (first !== undefined && (oldest === undefined || first.number < oldest.number)) oldest = first;
    }
    if (oldest !== undefined) this.#drop(oldest);
  }

  #drop(idle: IdleOrigin): void {
    const index = idle.list.indexOf(idle);
    if (index < 0) return;
    idle.list.splice(index, 1);
    this.#size -= 1;
    idle.conn.detach();
    closeOrigin(idle.conn);
  }
}

/** Closes a connection on which everything was said, both ways. TLS waits for its peer the first time. */
export function closeOrigin(conn: Conn): void {
  conn.close();
  conn.close();
}

/** A connection that was put in, with what is known of it; also while it is out again. */
class IdleOrigin implements Origin, ConnSink {
  readonly conn: Conn;
  readonly address: DialledAddress;
  readonly ip: Ip | undefined;
  readonly reused = true;
  /** Where it lies. */
  list: IdleOrigin[] = [];
  /** Which one it is of those that were put in. */
  number = 0;
  idleMs = 0;
  /** Monotonic milliseconds; `UNKNOWN` until the next sweep. */
  until = UNKNOWN;
  /** Of the pool that it belongs to. */
  readonly drop: (idle: IdleOrigin) => void;

  constructor({ conn, address, ip }: Origin, drop: (idle: IdleOrigin) => void) {
    this.conn = conn;
    this.address = address;
    this.ip = ip;
    this.drop = drop;
  }

  rest(list: IdleOrigin[], number: number, idleMs: number): void {
    this.list = list;
    this.number = number;
    this.idleMs = idleMs;
    this.until = UNKNOWN;
  }

  data(): void {
    this.drop(this);
  }

  end(): void {
    this.drop(this);
  }

  drain(): void {
    // Everything was written before it came here.
  }

  close(): void {
    this.drop(this);
  }
}
