/** Keys that are exchanged. Beyond them a proxy decides by its even share: a flood of keys must not take memory. */
const MAX_KEYS = 65_536;

/** Keys whose turn it is to be exchanged: those that changed first, then the others in turn. */
export class KeyTurns {
  readonly #changed = new Set<string>();
  /** The one that was exchanged longest ago first. */
  readonly #known = new Set<string>();

  get size(): number {
    return this.#known.size;
  }

  get changed(): number {
    return this.#changed.size;
  }

  /** False when there is no room for another key. */
  change(key: string): boolean {
    if (this.#known.size >= MAX_KEYS && !this.#known.has(key)) return false;
    this.#changed.add(key);
    this.#known.add(key);
    return true;
  }

  forget(key: string): void {
    this.#changed.delete(key);
    this.#known.delete(key);
  }

  /** Every key has to be told again. */
  changeAll(): void {
    for (const key of this.#known) this.#changed.add(key);
  }

  take(most: number): string[] {
    const keys: string[] = [];
    for (const key of this.#changed) {
      if (keys.length === most) break;
      this.#changed.delete(key);
      keys.push(key);
    }
    const taken = new Set(keys);
    for (const key of this.#known) {
      if (keys.length === most) break;
      if (!taken.has(key)) keys.push(key);
    }
    // Their turn comes again after all others.
    for (const key of keys) {
      this.#known.delete(key);
      this.#known.add(key);
    }
    return keys;
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#known.values();
  }
}
