/** How many events may be made. */
export interface EventRate {
  readonly perSecond: number;
  /** That may come at once, after a time with few. */
  readonly burst: number;
}

/**
 * Limits how many events are made: what tells of the work must cost little beside
 * it. A burst passes whole; of a flood some do, and the others are counted.
 */
export class EventBudget {
  readonly #rate: EventRate;
  #left: number;
  #at = 0;

  constructor(rate: EventRate) {
    this.#rate = rate;
    this.#left = rate.burst;
  }

  /** Whether one more may be made. `now` is monotonic, in milliseconds. */
  take(now: number): boolean {
    const { perSecond, burst } = this.#rate;
    this.#left = Math.min(burst, this.#left + ((now - this.#at) * perSecond) / 1000);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
