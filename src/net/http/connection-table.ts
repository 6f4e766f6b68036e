import type { DescriptorRoom } from "../conn/descriptors.ts";

/** The state of a connection of the server. */
export type ServedState =
  /** There is no whole request: nothing is lost when it closes. */
  | "waiting"
  /** A request that may change something is with its handler: a client that is cut off cannot tell whether it did. */
  | "acting"
  | "answering"
  /** An authorized answer without an end is under way. */
  | "streaming";

/** A connection as the table sees it. */
export interface Served {
  /** Connections of the same peer share one bound. */
  readonly peer: string;
  readonly state: ServedState;
  /** Closes it at once. */
  evict(): void;
}

export interface TableLimits {
  readonly total: number;
  readonly perPeer: number;
  /**
   * Milliseconds in which a new connection is not evicted, so that its request is
   * read first: after the process was busy many come at once. Meanwhile there may
   * be `burst` times as many connections.
   */
  readonly graceMs: number;
  readonly burst: number;
  /** As `total`, without a grace, for connections that have one of the last descriptors. */
  readonly whenScarce: number;
}

/**
 * Bounds the connections of the server. A new one is always admitted, unless all
 * are acting or streaming: where there is no room, the connection is evicted that waits
 * the longest, of the peer that has the most. So a client that holds connections
 * takes nothing from others, and a request that comes at once is answered.
 */
export class ConnectionTable {
  /** Connections that were accepted, and those that were evicted or refused. */
  accepted = 0;
  evicted = 0;
  readonly #limits: TableLimits;
  readonly #now: () => number;
  /** When each came, in this order. */
  readonly #members = new Map<Served, number>();
  /**
   * Those that have one of the last descriptors. They have a bound of their own,
   * because only their end gives one of the last back: a newcomer with a low
   * descriptor says nothing of how many are left (see `Descriptors.judge`).
   */
  readonly #scarce = new Set<Served>();
  #isToJudge = false;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(limits: TableLimits, now = () => performance.now()) {
    this.#limits = limits;
    this.#now = now;
  }

  get open(): number {
    return this.#members.size;
  }

  /**
   * Admits a connection, and evicts another one for it if it must. False when
   * there is no room: close it. `room` is judged by its descriptor; at `last`
   * another connection with one of the last descriptors must go for it.
   */
  admit(newcomer: Served, room: DescriptorRoom = "enough"): boolean {
    this.accepted += 1;
    const isScarce = room !== "enough";
    const found =
      isScarce && this.#scarce.size >= (room === "last" ? 0 : this.#limits.whenScarce)
        ? this.#choose([...this.#scarce], 0)
        : this.#findBeyond(newcomer.peer, 1);
    if (found === undefined) {
      this.evicted += 1;
      return false;
    }
    if (found === "later") this.#judgeLater();
    else if (found !== "nobody") this.#evict(found);
    this.#members.set(newcomer, this.#now());
    if (isScarce) this.#scarce.add(newcomer);
    return true;
  }

  /** A connection is gone. */
  leave(member: Served): void {
    this.#members.delete(member);
    this.#scarce.delete(member);
  }

  list(): readonly Served[] {
    return [...this.#members.keys()];
  }

  /**
   * Chooses whom to evict: a waiting connection before an answering one, then of
   * the peer that has the most, then the oldest. `later` while those that wait
   * are in their grace, undefined when all are acting or streaming.
   */
  #choose(candidates: readonly Served[], limit: number): Served | "later" | undefined {
    const waiting = candidates.filter(({ state }) => state === "waiting");
    const since = this.#now() - this.#limits.graceMs;
    const settled = waiting.filter((member) => (this.#members.get(member) ?? 0) <= since);
    if (settled.length === 0 && waiting.length > 0 && candidates.length < limit * this.#limits.burst) return "later";
    const [ready] = [settled, waiting, candidates.filter(({ state }) => state === "answering")].filter(
      ({ length }) => length > 0,
    );
    return ready?.reduce((best, next) => (this.#count(next.peer) > this.#count(best.peer) ? next : best));
  }

  #judgeLater(): void {
    if (this.#isToJudge) return;
    this.#isToJudge = true;
    setTimeout(() => {
      this.#isToJudge = false;
      this.#judge();
    }, this.#limits.graceMs).unref();
  }

  /** Evicts those beyond the bounds, unless they are in their grace. */
  #judge(): void {
    for (const member of this.list()) {
      const found = this.#findBeyond(member.peer, 0);
      // A request that acts is over soon, and its connection then waits for another one.
      if (found === "later" || (found === undefined && member.state === "acting")) this.#judgeLater();
      else if (found !== undefined && found !== "nobody") this.#evict(found);
    }
  }

  /** Whom to evict when `coming` connections of a peer come to those that are there; `nobody` while there is room. */
  #findBeyond(peer: string, coming: number): Served | "later" | "nobody" | undefined {
    const { total, perPeer } = this.#limits;
    const all = this.list();
    const own = all.filter((member) => member.peer === peer);
    if (own.length + coming > perPeer) return this.#choose(own, perPeer);
    return all.length + coming > total ? this.#choose(all, total) : "nobody";
  }

  #evict(member: Served): void {
    this.evicted += 1;
    this.leave(member);
    member.evict();
  }

  #count(peer: string): number {
    let count = 0;
    for (const { peer: other } of this.#members.keys()) if (other === peer) count += 1;
    return count;
  }
}
