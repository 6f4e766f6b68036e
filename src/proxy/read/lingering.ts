import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Descriptors } from "../../net/conn/descriptors.ts";
import { clientKey } from "../../address/client-key.ts";
import type { Runtime } from "../runtime.ts";
import { LingeringClose } from "./close-lingering.ts";

/** How many connections may linger: in all (at most `limits.connections`), and of one client. */
const MAX_IN_ALL = 512;
/** So many may linger even when descriptors are short: a reserve of descriptors is for them. */
const ALWAYS = 8;
const SHARE_OF_ONE_CLIENT = 4;

/** The client, the user and the limits whose slots a connection holds. */
export interface Holder {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly runtime: { readonly limits: Pick<Runtime["limits"], "inAll" | "clientPrefix"> };
}

/**
 * The connections that have got their last response and are not closed yet. Each
 * holds its slots to the end. The oldest are closed when their slots are needed.
 */
export class Lingering {
  /** Oldest first. */
  readonly #closes = new Map<LingeringClose, Holder>();
  readonly #perClient = new Map<string, number>();
  readonly #slots: { readonly connections: number };
  readonly #descriptors: Descriptors;
  #hurried = false;
  #aborted = false;

  /** `slots` counts all connections that hold a slot. */
  constructor(slots: { readonly connections: number }, descriptors: Descriptors) {
    this.#slots = slots;
    this.#descriptors = descriptors;
  }

  get size(): number {
    return this.#closes.size;
  }

  /**
   * Closes a detached connection so that what was written arrives, and calls
   * `closed` once when it is gone. `totalMs`: how long the client may go on
   * sending, at the most.
   */
  close(conn: Conn, holder: Holder, totalMs: number, closed: () => void): void {
    if (conn.closed) {
      closed();
      return;
    }
    const key = clientKey(holder.client, holder.runtime.limits.clientPrefix);
    this.#makeRoom(holder, key);
    const close = new LingeringClose(conn, () => {
      if (this.#closes.delete(close)) this.#count(key, -1);
      closed();
    });
    this.#closes.set(close, holder);
    this.#count(key, 1);
    close.begin(totalMs);
    if (!this.#closes.has(close)) return;
    if (this.#aborted) close.giveUp();
    else if (this.#hurried) close.hurry();
  }

  /** Closes the oldest connection that `serves`, which frees its slots. False when there is none. */
  giveUpOldest(serves: (holder: Holder) => boolean): boolean {
    for (const [close, holder] of this.#closes) {
      if (!serves(holder)) continue;
      close.giveUp();
      return true;
    }
    return false;
  }

  /** Closes the oldest until enough descriptors are left for `connections`. */
  yieldDescriptors(connections: number): void {
    while (this.#closes.size > ALWAYS && !this.#descriptors.allowsConnections(connections + this.#closes.size)) {
      if (!this.giveUpOldest(anyone)) return;
    }
  }

  /** Allows only short pauses from now on. */
  hurry(): void {
    this.#hurried = true;
    for (const close of this.#closes.keys()) close.hurry();
  }

  /** Takes back `hurry` for those to come. */
  relax(): void {
    this.#hurried = false;
  }

  /** Closes all at once, and later ones as they come. */
  abort(): void {
    this.#aborted = true;
    for (const close of this.#closes.keys()) close.giveUp();
  }

  #makeRoom({ runtime: { limits } }: Holder, key: string): void {
    const inAll = Math.max(ALWAYS, Math.min(MAX_IN_ALL, limits.inAll.connections));
    const ofOne = Math.ceil(inAll / SHARE_OF_ONE_CLIENT);
    if ((this.#perClient.get(key) ?? 0) >= ofOne)
      this.giveUpOldest((holder) => clientKey(holder.client, limits.clientPrefix) === key);
    if (this.#closes.size >= inAll) this.giveUpOldest(anyone);
    this.yieldDescriptors(this.#slots.connections);
  }

  #count(key: string, change: number): void {
    const count = (this.#perClient.get(key) ?? 0) + change;
    if (count > 0) this.#perClient.set(key, count);
    else this.#perClient.delete(key);
  }
}

function anyone(): boolean {
  return true;
}
