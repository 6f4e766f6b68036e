/** A bounded map that forgets entries at their time, and the least recently used ones when it is full. */
export class ExpiringLru<V> {
  readonly #maxEntries: number;
  // A Map keeps the order of insertion: the first key is the least recently used.
  readonly #entries = new Map<string, { value: V; expiresAt: number }>();

  /** 0 entries make a map that remembers nothing. */
  constructor(maxEntries: number) {
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The value, unless it is absent or `now` has reached its time. */
  get(key: string, now: number): V | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (now >= entry.expiresAt) return undefined;
    this.#entries.set(key, entry);
    return entry.value;
  }

  /** Remembers `value` until `expiresAt`, on the clock that `get` is told. */
  set(key: string, value: V, expiresAt: number): void {
    this.#entries.delete(key);
    this.#entries.set(key, { value, expiresAt });
    if (this.#entries.size <= this.#maxEntries) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}
