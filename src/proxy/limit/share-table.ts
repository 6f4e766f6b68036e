/** Entries that a table keeps when nobody uses them. */
const TABLE_SIZE = 65_536;
/** Of so many of the entries that were used least recently, the one is pushed out that has least to remember. */
const LOOKS = 8;

/** What a table keeps of one key. */
export interface ShareEntry<T> {
  readonly key: string;
  readonly value: T;
  /** How many use it now: it is kept while there are any. */
  readonly holds: number;
}

interface Entry<T> extends ShareEntry<T> {
  holds: number;
  /** Neighbours in the order of last use; both undefined while it is held. */
  older: Entry<T> | undefined;
  newer: Entry<T> | undefined;
}

export interface ShareTableOptions<T> {
  /** Entries that nobody holds. */
  readonly size?: number | undefined;
  /** Is told of each entry that is pushed out or dropped. */
  readonly forgotten?: (key: string, value: T) => void;
  /** How much would be lost with a value; up to 1 is what everybody has who came once. Absent: the same with each. */
  readonly weigh?: (value: T) => number;
}

/**
 * What is remembered of users, clients or targets, by key. Its size is bounded:
 * a new key pushes out the entry that was used least recently, in constant time.
 * One that weighs more gets another turn instead, so that keys that come once do
 * not push out one that is in use. An entry that is held is never pushed out. There
 * may be more held entries than `size`: each costs its holder a connection, and
 * those have a limit.
 */
export class ShareTable<T> {
  readonly #create: (key: string) => T;
  readonly #size: number;
  readonly #forgotten: ShareTableOptions<T>["forgotten"];
  readonly #weigh: ShareTableOptions<T>["weigh"];
  readonly #entries = new Map<string, Entry<T>>();
  /** The ends of the list of entries that nobody holds. */
  #oldest: Entry<T> | undefined;
  #newest: Entry<T> | undefined;

  constructor(create: (key: string) => T, { size = TABLE_SIZE, forgotten, weigh }: ShareTableOptions<T> = {}) {
    this.#create = create;
    this.#size = size;
    this.#forgotten = forgotten;
    this.#weigh = weigh;
  }

  /** Entries, held or not. */
  get size(): number {
    return this.#entries.size;
  }

  /** Looks an entry up without using it. */
  peek(key: string): ShareEntry<T> | undefined {
    return this.#entries.get(key);
  }

  /** Finds or makes the value of a key, which is now the last that is pushed out. */
  use(key: string): T {
    const known = this.#entries.get(key);
    if (known === undefined) {
      const made = this.#add(key);
      this.#append(made);
      return made.value;
    }
    if (known.holds === 0 && known !== this.#newest) {
      this.#unlink(known);
      this.#append(known);
    }
    return known.value;
  }

  /** Finds or makes an entry and keeps it until `release` has been called as often. */
  hold(key: string): ShareEntry<T> {
    const known = this.#entries.get(key);
    if (known === undefined) {
      const made = this.#add(key);
      made.holds = 1;
      return made;
    }
    if (known.holds === 0) this.#unlink(known);
    known.holds += 1;
    return known;
  }

  /** Gives one hold back. Returns false, and does nothing, when there is none. */
  release(key: string): boolean {
    const known = this.#entries.get(key);
    if (known === undefined || known.holds === 0) return false;
    known.holds -= 1;
    if (known.holds === 0) {
      this.#append(known);
      // While too many were held, the table has grown beyond its size.
      this.#makeRoom(this.#size);
    }
    return true;
  }

  /** Forgets an entry that nobody holds. Returns false when there is none. */
  drop(key: string): boolean {
    const known = this.#entries.get(key);
    if (known === undefined || known.holds > 0) return false;
    this.#unlink(known);
    this.#forget(known);
    return true;
  }

  /** All entries, in no order that means anything. */
  entries(): IterableIterator<ShareEntry<T>> {
    return this.#entries.values();
  }

  #add(key: string): Entry<T> {
    this.#makeRoom(this.#size - 1);
    const made: Entry<T> = { key, value: this.#create(key), holds: 0, older: undefined, newer: undefined };
    this.#entries.set(key, made);
    return made;
  }

  #makeRoom(most: number): void {
    while (this.#oldest !== undefined && this.#entries.size > most) this.#forget(this.#takeLeast(this.#oldest));
  }

  /** Unlinks the entry to push out. Those that were looked at and weigh more get another turn. */
  #takeLeast(oldest: Entry<T>): Entry<T> {
    this.#unlink(oldest);
    const weigh = this.#weigh;
    if (weigh === undefined) return oldest;
    let least = oldest;
    let weight = weigh(least.value);
    for (let looks = 1; looks < LOOKS && weight > 1 && this.#oldest !== undefined; looks += 1) {
      const other = this.#oldest;
      this.#unlink(other);
      const otherWeight = weigh(other.value);
      this.#append(otherWeight < weight ? least : other);
      if (otherWeight < weight) [least, weight] = [other, otherWeight];
    }
    return least;
  }

  #forget({ key, value }: Entry<T>): void {
    this.#entries.delete(key);
    this.#forgotten?.(key, value);
  }

  #append(entry: Entry<T>): void {
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: Entry<T>): void {
    const { older, newer } = entry;
    if (older === undefined) this.#oldest = newer;
    else older.newer = newer;
    if (newer === undefined) this.#newest = older;
    else newer.older = older;
    entry.older = undefined;
    entry.newer = undefined;
  }
}
