const NOTHING = new Uint8Array(0);

/** The beginning of a message of which more is to come. The memory doubles when it is full, so that a byte at a time costs few copies. */
export class HeldBytes {
  #store: Uint8Array = NOTHING;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Everything held, valid until the next `append`. */
  get bytes(): Uint8Array {
    return this.#store.subarray(0, this.#length);
  }

  /** Appends a copy of `chunk`. Returns `bytes`. */
  append(chunk: Uint8Array): Uint8Array {
    const length = this.#length + chunk.length;
    if (length > this.#store.length) {
      const grown = new Uint8Array(Math.max(length, this.#store.length * 2));
      grown.set(this.#store.subarray(0, this.#length));
      this.#store = grown;
    }
    this.#store.set(chunk, this.#length);
    this.#length = length;
    return this.bytes;
  }

  clear(): void {
    this.#store = NOTHING;
    this.#length = 0;
  }
}
