/** Lookups under way in all. The last `RESERVE` of them are for clients that have few. */
const MAX_UNDER_WAY = 512;
const RESERVE = 128;
/** Lookups under way for one client in all, and for one that uses the reserve. */
const MAX_PER_CLIENT = 128;
const MAX_FROM_RESERVE = 8;
/** Lookups that wait for their turn: of one client, and in all. */
const MAX_WAITING_PER_CLIENT = 1024;
const MAX_WAITING = 8192;

/** A lookup that waits for its turn. */
export interface Turn {
  begin(): void;
}

interface Share {
  underWay: number;
  readonly waiting: Set<Turn>;
}

/** Divides the lookups under way among the clients, so that no client can have them all. */
export class LookupShares {
  readonly #shares = new Map<string, Share>();
  #underWay = 0;
  #waiting = 0;

  /** Takes a slot for `client` if it may have one now. */
  take(client: string): boolean {
    if (!this.#mayBegin(this.#shares.get(client)?.underWay ?? 0)) return false;
    this.#underWay += 1;
    this.#open(client).underWay += 1;
    return true;
  }

  /** Queues `turn`, which begins with a slot taken. False when too many wait. */
  wait(client: string, turn: Turn): boolean {
    const own = this.#shares.get(client)?.waiting.size ?? 0;
    if (this.#waiting >= MAX_WAITING || own >= MAX_WAITING_PER_CLIENT) return false;
    this.#open(client).waiting.add(turn);
    this.#waiting += 1;
    return true;
  }

  /** Takes `turn` out of the queue. */
  forget(client: string, turn: Turn): void {
    const share = this.#shares.get(client);
    if (share?.waiting.delete(turn) !== true) return;
    this.#waiting -= 1;
    this.#tidy(client, share);
  }

  /** Gives a slot back, to the client that has waited the longest. */
  give(client: string): void {
    const share = this.#shares.get(client);
    if (share === undefined) return;
    this.#underWay -= 1;
    share.underWay -= 1;
    this.#tidy(client, share);
    if (this.#waiting > 0) this.#callNext();
  }

  #callNext(): void {
    for (const [client, share] of this.#shares) {
      const [turn] = share.waiting;
      if (turn === undefined || !this.#mayBegin(share.underWay)) continue;
      share.waiting.delete(turn);
      this.#waiting -= 1;
      share.underWay += 1;
      this.#underWay += 1;
      // To the end of the order, so that clients take turns.
      this.#shares.delete(client);
      this.#shares.set(client, share);
      turn.begin();
      return;
    }
  }

  #mayBegin(own: number): boolean {
    if (own >= MAX_PER_CLIENT || this.#underWay >= MAX_UNDER_WAY) return false;
    return this.#underWay < MAX_UNDER_WAY - RESERVE || own < MAX_FROM_RESERVE;
  }

  #open(client: string): Share {
    let share = this.#shares.get(client);
    if (share === undefined) this.#shares.set(client, (share = { underWay: 0, waiting: new Set() }));
    return share;
  }

  #tidy(client: string, share: Share): void {
    if (share.underWay === 0 && share.waiting.size === 0) this.#shares.delete(client);
  }
}
