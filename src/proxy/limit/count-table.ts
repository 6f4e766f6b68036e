import { type ShareEntry, ShareTable } from "./share-table.ts";

/** Beside those that are held here. */
export interface CountElsewhere {
  /** Held in other processes. */
  elsewhere: number;
}

/** How many of something each key holds at once. A key that holds nothing takes no memory. */
export class CountTable {
  readonly #table: ShareTable<CountElsewhere>;

  constructor(size?: number) {
    this.#table = new ShareTable(() => ({ elsewhere: 0 }), size);
  }

  /** How many are held here. */
  count(key: string): number {
    return this.#table.peek(key)?.holds ?? 0;
  }

  /** Whether `limit` leaves room for another one. */
  hasRoom(key: string, limit: number): boolean {
    const entry = this.#table.peek(key);
    return entry === undefined ? limit > 0 : entry.holds + entry.value.elsewhere < limit;
  }

  /** Counts one more, whatever the limit is. */
  add(key: string): void {
    this.#table.hold(key);
  }

  /** Counts one less. */
  giveBack(key: string): void {
    this.#table.release(key);
    this.#dropUnused(key);
  }

  /** Sets how many are held in other processes. */
  setElsewhere(key: string, count: number): void {
    if (count === 0 && this.#table.peek(key) === undefined) return;
    this.#table.use(key).elsewhere = count;
    this.#dropUnused(key);
  }

  /** What is held, by key. */
  entries(): Iterable<ShareEntry<CountElsewhere>> {
    return this.#table.entries();
  }

  #dropUnused(key: string): void {
    if (this.#table.peek(key)?.value.elsewhere === 0) this.#table.drop(key);
  }
}
