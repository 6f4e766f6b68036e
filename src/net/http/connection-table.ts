/** What a connection of a small server is doing. */
export type ServedState =
  /** It has not sent a whole request: nothing is lost when it goes. */
  | "waiting"
  | "answering"
  /** An answer without an end is under way, which was asked for with leave. */
  | "streaming";

/** A connection as the table sees it. */
export interface Served {
  /** Who shares the bound of one peer. */
  readonly peer: string;
  readonly state: ServedState;
  /** Closes it at once. */
  evict(): void;
}

export interface TableLimits {
  readonly total: number;
  readonly perPeer: number;
}

/**
 * Bounds the connections of a small server. A new one always gets in unless
 * everything is streaming: where there is no room, the one goes that waits the
 * longest, of the peer that has the most. So a client that holds connections
 * takes nothing from others, and a request that comes at once is answered.
 */
export class ConnectionTable {
  /** Connections that were accepted, and those of them that were closed to make room, or found none. */
  accepted = 0;
  evicted = 0;
  readonly #limits: TableLimits;
  /** In the order in which they came. */
  readonly #members = new Set<Served>();

  constructor(limits: TableLimits) {
    this.#limits = limits;
  }

  get open(): number {
    return this.#members.size;
  }

  /** Takes a connection in, and evicts another one for it where it must. False when there is no room: it is to be closed. */
  admit(newcomer: Served): boolean {
    this.accepted += 1;
    const own = [...this.#members].filter(({ peer }) => peer === newcomer.peer);
    const room = own.length < this.#limits.perPeer && this.#members.size < this.#limits.total;
    if (!room) {
      this.evicted += 1;
      const victim = own.length < this.#limits.perPeer ? this.#choose([...this.#members]) : this.#choose(own);
      if (victim === undefined) return false;
      this.#members.delete(victim);
      victim.evict();
    }
    this.#members.add(newcomer);
    return true;
  }

  /** A connection is gone. */
  leave(member: Served): void {
    this.#members.delete(member);
  }

  list(): readonly Served[] {
    return [...this.#members];
  }

  /** Who waits goes before who is answered, then who shares with the most others, then who came first. */
  #choose(candidates: readonly Served[]): Served | undefined {
    for (const state of ["waiting", "answering"] as const) {
      const ready = candidates.filter((member) => member.state === state);
      const [first, ...rest] = ready;
      if (first === undefined) continue;
      return rest.reduce((best, next) => (this.#count(next.peer) > this.#count(best.peer) ? next : best), first);
    }
    return undefined;
  }

  #count(peer: string): number {
    let count = 0;
    for (const member of this.#members) if (member.peer === peer) count += 1;
    return count;
  }
}
