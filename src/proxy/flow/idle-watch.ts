import { throwLater } from "../../net/conn/throw-later.ts";

/** What a watched thing notes when it does anything: the watch knows the time, and saves it a look at the clock. */
export const ACTIVE = 0;

/** Something that remembers when it last did anything. */
export interface Watched {
  /** Monotonic milliseconds (`performance.now()`); `ACTIVE` from when it does anything to the next look, which puts its own time there. */
  lastActivity: number;
  /** It has done nothing for too long. */
  expire(): void;
}

/**
 * Has `watched` expire once it has done nothing for `idleMs` milliseconds; 0
 * watches nothing.
 *
 * One timer serves all that share an idle time: a tunnel costs a set entry, not
 * a timer. It looks four times per idle time, at most once and at least
 * twenty times a second, so `expire` may come two looks late, never early.
 */
export function watchIdle(watched: Watched, idleMs: number): void {
  if (idleMs <= 0) return;
  let round = rounds.get(idleMs);
  if (round === undefined) {
    round = new Round(idleMs);
    rounds.set(idleMs, round);
  }
  round.add(watched);
}

/** Stops what `watchIdle` began with the same idle time. */
export function unwatchIdle(watched: Watched, idleMs: number): void {
  rounds.get(idleMs)?.delete(watched);
}

const rounds = new Map<number, Round>();

class Round {
  readonly #idleMs: number;
  readonly #members = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  add(watched: Watched): void {
    this.#members.add(watched);
    // It stops at its next turn without members: short waits follow each other closely.
    if (this.#timer === undefined) this.#startTimer();
  }

  /** Apart, for a function in `add` would cost every member, and not only the first. */
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

  /** A mistake in one is not for the others to pay, nor for it to be made again at every look. */
  #expire(watched: Watched): void {
    try {
      watched.expire();
    } catch (error) {
      this.#members.delete(watched);
      throwLater(error);
    }
  }
}
