import { throwLater } from "./throw-later.ts";

/** Something whose time can be up. */
export interface Expiring {
  expire(): void;
}

/** Milliseconds from one look to the next. */
const TURN_MS = 50;

/**
 * Deadlines of things that are nearly always done before: many at once, each
 * for a set entry and none for a timer of its own. One timer looks twenty times
 * a second as long as there are any, so `expire` may come that much late, never
 * early.
 */
export class Deadlines {
  /** By the look at which their time is up. A set may be empty until then. */
  readonly #turns = new Map<number, Set<Expiring>>();
  readonly #now: () => number;
  readonly #reportBug: (error: unknown) => void;
  #size = 0;
  #timer: Timer | undefined;

  /** `now` is a monotonic clock in milliseconds; `reportBug` hears of an `expire` that throws, which keeps no other one from its time. */
  constructor(now = () => performance.now(), reportBug: (error: unknown) => void = throwLater) {
    this.#now = now;
    this.#reportBug = reportBug;
  }

  /** How many have neither expired nor been stopped. */
  get size(): number {
    return this.#size;
  }

  /** Has `what` expire in `ms` milliseconds. Gives the turn, which `stop` asks for. */
  start(what: Expiring, ms: number): number {
    // Always one to come, also for what is started by one that expires.
    const turn = Math.floor((this.#now() + ms) / TURN_MS) + 1;
    let members = this.#turns.get(turn);
    if (members === undefined) {
      members = new Set();
      this.#turns.set(turn, members);
    }
    members.add(what);
    this.#size += 1;
    // It stops at its next look without members: short waits follow each other closely.
    if (this.#timer === undefined) this.#startTimer();
    return turn;
  }

  /** Apart, for a function in `start` would cost every one that is started, and not only the first. */
  #startTimer(): void {
    this.#timer = setInterval(() => this.look(), TURN_MS);
  }

  /** Stops what `start` began. Without effect when it has expired. */
  stop(what: Expiring, turn: number): void {
    if (this.#turns.get(turn)?.delete(what) === true) this.#size -= 1;
  }

  /** Has those expire whose time is up. */
  look(): void {
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
    if (this.#size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#turns.clear();
  }
}

/** Milliseconds until `endsAt`, in monotonic milliseconds; at least one, so that a timer can tell. */
export function remainingMs(endsAt: number): number {
  return Math.max(1, endsAt - performance.now());
}
