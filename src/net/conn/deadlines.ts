import { throwLater } from "./throw-later.ts";

/** Something with a deadline. */
export interface Expiring {
  expire(): void;
}

/** Milliseconds between two sweeps. */
const TURN_MS = 50;

/**
 * Deadlines of things that are nearly always done before. Each costs an entry
 * in a set, and all share one sweep, twenty times a second while there are any:
 * `expire` may come 50 ms late, never early.
 */
export class Deadlines {
  /** By the sweep at which their time is up. A set may be empty until then. */
  readonly #turns = new Map<number, Set<Expiring>>();
  readonly #now: () => number;
  readonly #reportBug: (error: unknown) => void;
  readonly #sweep = new Sweep(TURN_MS, () => this.look());
  #size = 0;

  /** `now` is a monotonic clock in milliseconds. `reportBug` is called for each `expire` that throws; the others expire all the same. */
  constructor(now = () => performance.now(), reportBug: (error: unknown) => void = throwLater) {
    this.#now = now;
    this.#reportBug = reportBug;
  }

  /** Counts those that have neither expired nor been stopped. */
  get size(): number {
    return this.#size;
  }

  /** Calls `what.expire()` in `ms` milliseconds. Returns the turn, which `stop` needs. */
  start(what: Expiring, ms: number): number {
    // Always a turn to come, also for what is started within `expire`.
    const turn = Math.floor((this.#now() + ms) / TURN_MS) + 1;
    let members = this.#turns.get(turn);
    if (members === undefined) {
      members = new Set();
      this.#turns.set(turn, members);
    }
    members.add(what);
    this.#size += 1;
    this.#sweep.start();
    return turn;
  }

  /** Stops what `start` began. Does nothing when it has expired. */
  stop(what: Expiring, turn: number): void {
    if (this.#turns.get(turn)?.delete(what) === true) this.#size -= 1;
  }

  /** Expires those whose time is up. Returns whether any are left. */
  look(): boolean {
    const now = Math.floor(this.#now() / TURN_MS);
    for (const [turn, members] of this.#turns) {
      if (turn > now) continue;
      for (const what of members) {
        this.stop(what, turn);
        try {
          what.expire();
        } catch (error) {
          this.#reportBug(error);
        }
      }
      this.#turns.delete(turn);
    }
    if (this.#size === 0) this.#turns.clear();
    return this.#size > 0;
  }
}

/** A timer that calls `look` every `ms` milliseconds, from `start` until `look` returns false: one timer for many things. It does not keep the process alive. */
export class Sweep {
  readonly #ms: number;
  readonly #look: () => boolean;
  #timer: Timer | undefined;

  constructor(ms: number, look: () => boolean) {
    this.#ms = ms;
    this.#look = look;
  }

  start(): void {
    if (this.#timer === undefined) this.#startTimer();
  }

  /** Separate from `start`, where the closure would cost every call. */
  #startTimer(): void {
    this.#timer = setInterval(() => {
      if (this.#look()) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    }, this.#ms).unref();
  }
}

/** Milliseconds until `endsAt`, in monotonic milliseconds; at least one, so that a timer can tell. */
export function remainingMs(endsAt: number): number {
  return Math.max(1, endsAt - performance.now());
}
