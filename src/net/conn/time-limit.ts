import type { Conn } from "./conn.ts";
import { Deadlines, type Expiring } from "./deadlines.ts";

/**
 * What ends a dial before it is done: its time is up, or the client is gone.
 * One deadline and one listener for the whole dial; its stages take turns in
 * saying what there is to stop.
 */
export class TimeLimit implements Expiring {
  /** Why the dial is over; undefined as long as it goes on. */
  over: "deadline" | "client_gone" | undefined;

  readonly #endsAt: number;
  readonly #deadlines: Deadlines;
  readonly #turn: number;
  readonly #client: Conn | undefined;
  #stop: (() => void) | undefined;

  /** `client` is whose going away ends the dial. */
  constructor(ms: number, client?: Conn) {
    this.#endsAt = performance.now() + ms;
    this.#deadlines = client?.timers.deadlines ?? new Deadlines();
    this.#turn = this.#deadlines.start(this, ms);
    this.#client = client;
    if (client === undefined) return;
    if (client.closed) this.over = "client_gone";
    else client.whenClosed = () => this.#end("client_gone");
  }

  /** Milliseconds that are left, at least 0. */
  get remainingMs(): number {
    return Math.max(0, this.#endsAt - performance.now());
  }

  /** Makes `stop` what is called once when the dial ends early; at once when it has. */
  whenOver(stop: () => void): void {
    this.#stop = stop;
    if (this.over !== undefined) this.#callStop();
  }

  /** Nothing is to be stopped at the moment. */
  forget(): void {
    this.#stop = undefined;
  }

  /** The dial is done: nothing ends it any more. */
  release(): void {
    this.#deadlines.stop(this, this.#turn);
    this.#stop = undefined;
    if (this.#client !== undefined) this.#client.whenClosed = undefined;
  }

  /** Its time is up. */
  expire(): void {
    this.#end("deadline");
  }

  #end(why: "deadline" | "client_gone"): void {
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
