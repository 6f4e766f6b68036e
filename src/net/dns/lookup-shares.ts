/** Lookups under way for everybody together; of these the last ones are kept for clients that have few. */
const MAX_UNDER_WAY = 512;
const RESERVE = 128;
/** Lookups under way for one client, and how many of its own one may have that uses the reserve. */
const MAX_PER_CLIENT = 128;
const MAX_FROM_RESERVE = 8;
/** Lookups that wait for their turn: of one client, and of everybody. */
const MAX_WAITING_PER_CLIENT = 1024;
const MAX_WAITING = 8192;

/** A lookup that wants to begin. */
export interface Turn {
  /** Its turn has come. */
  begin(): void;
}

interface Share {
  underWay: number;
  readonly waiting: Set<Turn>;
}

/** Divides the lookups under way among the clients, so that none of them can have them all. */
export class LookupShares {
  readonly #shares = new Map<string, Share>();
  #underWay = 0;
  #waiting = 0;

  /** Takes a place for `client` if it may have one now. */
  take(client: string): boolean {
    const share = this.#shares.get(client);
    if (!this.#mayBegin(share?.underWay ?? 0)) return false;
    this.#underWay += 1;
    if (share === undefined) this.#shares.set(client, { underWay: 1, waiting: new Set() });
    else share.underWay += 1;
    return true;
  }

  /** Has `turn` wait until there is a place, which it then has. False when too many wait. */
  wait(client: string, turn: Turn): boolean {
    let share = this.#shares.get(client);
    if (this.#waiting >= MAX_WAITING || (share?.waiting.size ?? 0) >= MAX_WAITING_PER_CLIENT) return false;
    if (share === undefined) {
      share = { underWay: 0, waiting: new Set() };
      this.#shares.set(client, share);
    }
    share.waiting.add(turn);
    this.#waiting += 1;
    return true;
  }

  /** `turn` does not wait any more. */
  forget(client: string, turn: Turn): void {
    const share = this.#shares.get(client);
    if (share?.waiting.delete(turn) !== true) return;
    this.#waiting -= 1;
    this.#tidy(client, share);
  }

  /** Gives a place back, to the client that has waited for one longest. */
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
      // Behind the others, so that clients take turns.
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

  #tidy(client: string, share: Share): void {
    if (share.underWay === 0 && share.waiting.size === 0) this.#shares.delete(client);
  }
}
