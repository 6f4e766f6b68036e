import type { DescriptorRoom } from "../conn/descriptors.ts";

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
  /**
   * Milliseconds for which a connection that came is left alone, so that its
   * request is read before it is judged: when the process was busy many come at
   * once. As many times as `burst` says there may be more of them meanwhile.
   */
  readonly graceMs: number;
  readonly burst: number;
  /** As `total`, without a grace, for connections whose descriptor is one of the last: more is not kept for them. */
  readonly whenScarce: number;
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
  readonly #now: () => number;
  /** When each came, in that order. */
  readonly #members = new Map<Served, number>();
  /**
   * Those of them whose descriptor is one of the last. They are counted apart:
   * only their end gives back one of the last descriptors. A newcomer with a
   * low descriptor tells nothing of how many are left, since it may have taken
   * the place of the connection that was evicted just before.
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
   * Takes a connection in, and evicts another one for it where it must. False
   * when there is no room: it is to be closed. `room` is what its descriptor
   * leaves; with the last ones it needs the place of another one.
   */
  admit(newcomer: Served, room: DescriptorRoom = "enough"): boolean {
    this.accepted += 1;
    const { total, perPeer, whenScarce } = this.#limits;
    const isScarce = room !== "enough";
    const own = this.list().filter(({ peer }) => peer === newcomer.peer);
    const found =
      isScarce && this.#scarce.size >= (room === "last" ? 0 : whenScarce)
        ? this.#choose([...this.#scarce], 0)
        : own.length >= perPeer
          ? this.#choose(own, perPeer)
          : this.#members.size >= total
            ? this.#choose(this.list(), total)
            : "nobody";
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
   * Who goes: one that waits before one that is answered, then who shares with
   * the most others, then who came first. `later` when it is too early to tell,
   * undefined when all are streaming.
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

  /** Evicts those that are too many, unless they have just come. */
  #judge(): void {
    const { total, perPeer } = this.#limits;
    for (const member of this.list()) {
      const own = this.list().filter(({ peer }) => peer === member.peer);
      const found =
        own.length > perPeer
          ? this.#choose(own, perPeer)
          : this.#members.size > total
            ? this.#choose(this.list(), total)
            : undefined;
      if (found === "later") this.#judgeLater();
      else if (found !== undefined) this.#evict(found);
    }
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
