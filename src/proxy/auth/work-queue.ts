/** Runs jobs, at most so many at once; so many more wait their turn, in order; the rest are turned away. */
export class WorkQueue {
  readonly #maxRunning: number;
  readonly #maxWaiting: number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(maxRunning: number, maxWaiting: number) {
    this.#maxRunning = maxRunning;
    this.#maxWaiting = maxWaiting;
  }

  /** Gives what the job gives, sooner or later, or undefined when too many wait already. */
  run<T>(job: () => Promise<T>): Promise<T> | undefined {
    if (this.#running < this.#maxRunning) {
      this.#running += 1;
      return this.#runNow(job);
    }
    if (this.#waiting.length >= this.#maxWaiting) return undefined;
    return this.#runLater(job);
  }

  async #runLater<T>(job: () => Promise<T>): Promise<T> {
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#runNow(job);
  }

  /** The place of a finished job passes to the first that waits, so the count stays. */
  async #runNow<T>(job: () => Promise<T>): Promise<T> {
    try {
      return await job();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#running -= 1;
    }
  }
}
