import type { Conn } from "./conn.ts";
import { Deadlines, type Expiring } from "./deadlines.ts";

/**
 * Ends work early: when its time is up, or when the client's connection closes.
 * One deadline and one listener serve all steps of the work. Each step says in
 * turn what has to stop.
 */
export class TimeLimit implements Expiring {
  /** Why the limit is reached; undefined until then. */
  over: "deadline" | "client_gone" | undefined;

  readonly #endsAt: number;
  readonly #deadlines: Deadlines;
  readonly #turn: number;
  readonly #client: Conn | undefined;
  #stop: (() => void) | undefined;

  /** The closing of `client` ends the work, too. */
  constructor(ms: number, client?: Conn, deadlines = client?.timers.deadlines ?? new Deadlines()) {
    this.#endsAt = performance.now() + ms;
    this.#deadlines = deadlines;
    this.#turn = this.#deadlines.start(this, ms);
    this.#client = client;
    if (client === undefined) return;
    if (client.closed) this.over = "client_gone";
    else client.whenClosed = () => this.end("client_gone");
  }

  /** Limits a part of the work to `ms`. The end of the whole is not the end of the part. */
  part(ms: number): TimeLimit {
    return new TimeLimit(ms, undefined, this.#deadlines);
  }

  /** Milliseconds that are left, at least 0. */
  get remainingMs(): number {
    return Math.max(0, this.#endsAt - performance.now());
  }

  /** Calls `stop` once when the limit is reached; at once when it is already. Replaces an earlier one. */
  whenOver(stop: () => void): void {
    this.#stop = stop;
    if (this.over !== undefined) this.#callStop();
  }

  /** Nothing has to stop at the moment. */
  forget(): void {
    this.#stop = undefined;
  }

  /** The work is done: the limit no longer watches anything. */
  release(): void {
    this.#deadlines.stop(this, this.#turn);
    this.#stop = undefined;
    if (this.#client !== undefined) this.#client.whenClosed = undefined;
  }

  /** Its time is up. */
  expire(): void {
    this.end("deadline");
  }

  /** Ends the work now. */
  end(why: "deadline" | "client_gone"): void {
    if (this.over !== undefined) return;
    this.over = why;
    this.#callStop();
  }

  #callStop(): void {
    const stop = this.#stop;
    this.#stop = undefined;
    stop?.();
  }
}

/** Waits for a promise, for at most `ms` milliseconds. */
export async function withinMs(promise: Promise<unknown>, ms: number): Promise<void> {
  const { promise: elapsed, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, elapsed]);
  clearTimeout(timer);
}
