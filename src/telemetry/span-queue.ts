interface Entry {
  readonly spans: readonly string[];
  readonly bytes: number;
}

/** Spans that wait to be sent, a bounded number of bytes of them. When there are too many, the oldest are lost. */
export class SpanQueue {
  readonly #maxBytes: number;
  readonly #lost: (spans: number) => void;
  #entries: Entry[] = [];
  #bytes = 0;

  /** `lost` is told of spans that were thrown away. */
  constructor(maxBytes: number, lost: (spans: number) => void) {
    this.#maxBytes = maxBytes;
    this.#lost = lost;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Takes the spans of one request. */
  push(spans: readonly string[]): void {
    const bytes = spans.reduce((sum, span) => sum + span.length, 0);
    this.#entries.push({ spans, bytes });
    this.#bytes += bytes;
    this.#trim();
  }

  /** Gives the oldest spans, about `maxBytes` of them, at least those of one request. */
  take(maxBytes: number): Entry[] {
    let count = 0;
    let bytes = 0;
    for (const entry of this.#entries) {
      if (count > 0 && bytes + entry.bytes > maxBytes) break;
      count += 1;
      bytes += entry.bytes;
    }
    this.#bytes -= bytes;
    return this.#entries.splice(0, count);
  }

  /** Takes back what could not be sent: it is older than everything here. */
  giveBack(entries: readonly Entry[]): void {
    this.#entries = [...entries, ...this.#entries];
    for (const { bytes } of entries) this.#bytes += bytes;
    this.#trim();
  }

  #trim(): void {
    let lost = 0;
    let count = 0;
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#entries[count];
      if (oldest === undefined) break;
      count += 1;
      this.#bytes -= oldest.bytes;
      lost += oldest.spans.length;
    }
    if (count === 0) return;
    this.#entries.splice(0, count);
    this.#lost(lost);
  }
}
