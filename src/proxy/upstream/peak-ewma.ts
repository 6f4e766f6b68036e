/** Milliseconds after which an observation has lost two thirds of its weight. */
const DECAY_MS = 10_000;

/** Observations that the quantiles are computed from. */
const MAX_RECENT = 128;

/** Observations as another process takes them over. */
export interface SavedLatency {
  readonly average: number;
  /** Milliseconds since the last observation. */
  readonly agoMs: number;
  readonly recent: readonly number[];
}

/**
 * A moving average of times that follows peaks at once and forgets them slowly
 * (Finagle's peak EWMA), and the last times for quantiles. All in milliseconds.
 */
export class PeakEwma {
  #average: number | undefined;
  #at = 0;
  #recent: Float32Array | undefined;
  #count = 0;

  observe(ms: number, now: number): void {
    this.#recent ??= new Float32Array(MAX_RECENT);
    this.#recent[this.#count % MAX_RECENT] = ms;
    this.#count += 1;
    const before = this.#average;
    if (before === undefined || ms >= before) {
      this.#average = ms;
    } else {
      const old = Math.exp(-Math.max(0, now - this.#at) / DECAY_MS);
      this.#average = before * old + ms * (1 - old);
    }
    this.#at = now;
  }

  /** What another process is to know; undefined before the first observation. Hundredths of milliseconds are enough. */
  save(now: number): SavedLatency | undefined {
    if (this.#average === undefined || this.#recent === undefined) return undefined;
    const size = Math.min(this.#count, MAX_RECENT);
    const recent = Array.from(this.#recent.subarray(0, size), (ms) => Math.round(ms * 100) / 100);
    return { average: this.#average, agoMs: Math.max(0, now - this.#at), recent };
  }

  /** Takes over what another process has observed, unless there are observations here. */
  restore({ average, agoMs, recent }: SavedLatency, now: number): void {
    if (this.#average !== undefined) return;
    this.#average = average;
    this.#at = now - agoMs;
    this.#recent = new Float32Array(MAX_RECENT);
    this.#recent.set(recent.slice(0, MAX_RECENT));
    this.#count = Math.min(recent.length, MAX_RECENT);
  }

  /** Undefined before the first observation. */
  get average(): number | undefined {
    return this.#average;
  }

  /** The time that this part, from 0 to 1, of the last ones did not exceed; undefined without any. */
  quantile(part: number): number | undefined {
    const size = Math.min(this.#count, MAX_RECENT);
    if (this.#recent === undefined || size === 0) return undefined;
    const sorted = this.#recent.slice(0, size).sort();
    return sorted[Math.min(size - 1, Math.floor(part * size))];
  }
}
