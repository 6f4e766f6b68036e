/** Something that remembers when it last did anything. */
export interface Watched {
  /** Monotonic milliseconds (`performance.now()`). */
  readonly lastActivity: number;
}

/**
 * Calls `expire` once `watched` has done nothing for `idleMs` milliseconds; 0
 * watches nothing. Returns the way to stop watching.
 *
 * One timer serves all that share an idle time: a tunnel costs a set entry, not
 * a timer. It looks four times per idle time, at most once and at least
 * twenty times a second, so `expire` may come that much late, never early.
 */
export function watchIdle(watched: Watched, idleMs: number, expire: () => void): () => void {
  if (idleMs <= 0) return doNothing;
  let round = rounds.get(idleMs);
  if (round === undefined) {
    round = new Round(idleMs);
    rounds.set(idleMs, round);
  }
  return round.add(watched, expire);
}

const rounds = new Map<number, Round>();

class Round {
  readonly #idleMs: number;
  readonly #members = new Map<Watched, () => void>();
  #timer: Timer | undefined;

  constructor(idleMs: number) {
    this.#idleMs = idleMs;
  }

  add(watched: Watched, expire: () => void): () => void {
    this.#members.set(watched, expire);
    const period = Math.min(1000, Math.max(50, this.#idleMs / 4));
    this.#timer ??= setInterval(() => this.#look(), period).unref();
    // The timer stops at its next turn without members: short waits follow each other closely.
    return () => {
      this.#members.delete(watched);
    };
  }

  #look(): void {
    if (this.#members.size === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      return;
    }
    const latest = performance.now() - this.#idleMs;
    for (const [watched, expire] of this.#members) {
      if (watched.lastActivity <= latest) expire();
    }
  }
}

function doNothing(): void {}
