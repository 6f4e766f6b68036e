import type { IdleWatch, Watched } from "../../net/conn/idle-watch.ts";

/**
 * One of the times that a connection waits for by turns. It is watched from its
 * first use to `leave`. Infinity means disarmed; arming is one assignment, where
 * joining and leaving the watch for each request would cost more than all of the rest.
 */
export class Deadline implements Watched {
  lastActivity = Number.POSITIVE_INFINITY;
  readonly #watch: IdleWatch;
  readonly #expired: () => void;
  #watchedMs = 0;

  constructor(watch: IdleWatch, expired: () => void) {
    this.#watch = watch;
    this.#expired = expired;
  }

  /** Arms it: `ms` milliseconds from `since` on, in monotonic milliseconds; 0 for ever. */
  arm(ms: number, since: number): void {
    if (ms !== this.#watchedMs) {
      this.leave();
      this.#watchedMs = ms;
      this.#watch.watch(this, ms);
    }
    this.lastActivity = since;
  }

  disarm(): void {
    this.lastActivity = Number.POSITIVE_INFINITY;
  }

  /** Is watched no more, until it is armed again. */
  leave(): void {
    this.disarm();
    this.#watch.unwatch(this, this.#watchedMs);
    this.#watchedMs = 0;
  }

  expire(): void {
    if (this.lastActivity !== Number.POSITIVE_INFINITY) this.#expired();
  }
}
