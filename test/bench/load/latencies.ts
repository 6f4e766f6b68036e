/** Collects durations in bounded memory: the first million, then a random sample of all. */
export class Latencies {
  readonly #values = new Float64Array(1_000_000);
  #seen = 0;

  add(value: number): void {
    const at = this.#seen < this.#values.length ? this.#seen : Math.floor(Math.random() * (this.#seen + 1));
    if (at < this.#values.length) this.#values[at] = value;
    this.#seen += 1;
  }

  /** The duration that the share `quantile` (0 to 1) stays below; 0 when there are none. */
  at(quantile: number): number {
    const count = Math.min(this.#seen, this.#values.length);
    const sorted = this.#values.slice(0, count).sort();
    return sorted[Math.min(count - 1, Math.floor(quantile * count))] ?? 0;
  }
}
