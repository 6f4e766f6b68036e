import { type ShareEntry, ShareTable } from "./share-table.ts";

/** What other processes leave of the limit of a key. */
export interface CountLease {
  /** How many may be held here, whatever the limit is; undefined while that is not known. */
  lease: number | undefined;
}

/** How many of something each key holds at once. A key that holds nothing takes no memory. */
export class CountTable {
  readonly #table: ShareTable<CountLease>;
  /** Is told of each key that holds more or less, or has no room; undefined where nothing is shared. */
  changed: ((key: string) => void) | undefined = undefined;
  /** A key without a lease may hold its limit divided by this: the processes that share it. */
  parts = 1;

  constructor(size?: number) {
    this.#table = new ShareTable<CountLease>(() => ({ lease: undefined }), { size });
  }

  /** How many are held here. */
  count(key: string): number {
    return this.#table.peek(key)?.holds ?? 0;
  }

  /** Whether `limit` leaves room for another one. */
  hasRoom(key: string, limit: number): boolean {
    const entry = this.#table.peek(key);
    if (entry === undefined) return limit > 0;
    const most = entry.value.lease ?? (this.parts === 1 ? limit : Math.ceil(limit / this.parts));
    const has = entry.holds < Math.min(limit, most);
    if (!has) this.changed?.(key);
    return has;
  }

  /** Counts one more, whatever the limit is. */
  add(key: string): void {
    this.#table.hold(key);
    this.changed?.(key);
  }

  /** Counts one less. */
  giveBack(key: string): void {
    this.#table.release(key);
    this.#table.drop(key);
    this.changed?.(key);
  }

  /** At most so many of a key that holds any may be held here; undefined for what `parts` gives. */
  lend(key: string, lease: number | undefined): void {
    const entry = this.#table.peek(key);
    if (entry !== undefined) entry.value.lease = lease;
  }

  /** What is held, by key. */
  entries(): Iterable<ShareEntry<CountLease>> {
    return this.#table.entries();
  }
}
