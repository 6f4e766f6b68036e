import { throwLater } from "./throw-later.ts";

/** What a watched thing notes when it does anything: the watch knows the time, and saves it a look at the clock. */
export const ACTIVE = 0;

/** Something that remembers when it last did anything. */
export interface Watched {
  /** Monotonic milliseconds (`performance.now()`). `ACTIVE` marks activity since the last look, which puts the time of the look there. */
  lastActivity: number;
  /** It has done nothing for too long. */
  expire(): void;
}

/**
 * Finds what has done nothing for too long. One timer serves all that share an
 * idle time: a tunnel costs a set entry, not a timer. It looks four times per
 * idle time, at most twenty times and at least once a second, so `expire` may
 * come two looks late, never early.
 */
export class IdleWatch {
  readonly #rounds = new Map<number, Round>();

  /** Calls `watched.expire()` once it has done nothing for `idleMs` milliseconds, at every look from then on; 0 watches nothing. */
  watch(watched: Watched, idleMs: number): void {
    if (idleMs <= 0) return;
    let round = this.#rounds.get(idleMs);
    if (round === undefined) {
      round = new Round(idleMs);
      this.#rounds.set(idleMs, round);
    }
    round.add(watched);
  }

  /** Stops what `watch` began with the same idle time. */
  unwatch(watched: Watched, idleMs: number): void {
    this.#rounds.get(idleMs)?.delete(watched);
  }
}

class Round {
  readonly #idleMs: number;
  readonly #members = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  add(watched: Watched): void {
    this.#members.add(watched);
    // It stops at its next look without members: short waits follow each other closely.
    if (this.#timer === undefined) this.#startTimer();
  }

  /** Apart, because a function in `add` would cost every member, and not only the first. */
  #startTimer(): void {
    const period = Math.min(1000, Math.max(50, this.#idleMs / 4));
    this.#timer = setInterval(() => this.#look(), period).unref();
  }

  delete(watched: Watched): void {
    this.#members.delete(watched);
  }

  #look(): void {
    if (this.#members.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const now = performance.now();
    const latest = now - this.#idleMs;
    for (const watched of this.#members) {
      if (watched.lastActivity === ACTIVE) watched.lastActivity = now;
      else if (watched.lastActivity <= latest) this.#expire(watched);
    }
  }

  /** An error in one `expire` keeps no other from its time, and is not repeated at every look. */
  #expire(watched: Watched): void {
    try {
      watched.expire();
    } catch (error) {
      this.#members.delete(watched);
      throwLater(error);
    }
  }
}
