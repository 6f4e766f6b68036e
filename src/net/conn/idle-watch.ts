import { Sweep } from "./deadlines.ts";
import { throwLater } from "./throw-later.ts";

/** Marks activity since the last sweep, which puts its own time there: a watched thing needs no look at the clock. */
export const ACTIVE = 0;

/** Something that remembers when it last did anything. */
export interface Watched {
  /** Monotonic milliseconds (`performance.now()`), or `ACTIVE`. */
  lastActivity: number;
  /** It has done nothing for too long. */
  expire(): void;
}

/**
 * Finds what has done nothing for too long. Each watched thing costs an entry in
 * a set, and all with one idle time share one sweep: four times per idle time, at
 * most twenty times and at least once a second. So `expire` may come two sweeps
 * late, never early.
 */
export class IdleWatch {
  readonly #rounds = new Map<number, Round>();

  /** Calls `watched.expire()` at each sweep that finds it idle for `idleMs` milliseconds; 0 watches nothing. */
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
    this.#rounds.get(idleMs)?.members.delete(watched);
  }
}

/** What shares an idle time. */
class Round {
  readonly members = new Set<Watched>();
  readonly #idleMs: number;
  readonly #sweep: Sweep;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
    this.#sweep = new Sweep(Math.min(1000, Math.max(50, idleMs / 4)), () => this.#look());
  }

  add(watched: Watched): void {
    this.members.add(watched);
    this.#sweep.start();
  }

  #look(): boolean {
    const now = performance.now();
    const latest = now - this.#idleMs;
    for (const watched of this.members) {
      if (watched.lastActivity === ACTIVE) watched.lastActivity = now;
      else if (watched.lastActivity <= latest) this.#expire(watched);
    }
    return this.members.size > 0;
  }

  /** An `expire` that throws keeps no other from its time, and is not called again. */
  #expire(watched: Watched): void {
    try {
      watched.expire();
    } catch (error) {
      this.members.delete(watched);
      throwLater(error);
    }
  }
}
