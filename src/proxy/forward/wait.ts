import type { Failure } from "../failure.ts";
import type { Watched } from "../tunnel/idle-watch.ts";
import type { Endable, RequestUnderWay } from "./forwarding.ts";

/**
 * One of the things that somebody waits for by turns. It stays with those who
 * watch over the time, and is waited for since for ever when it is not its turn:
 * a number to write, where to come and go would cost more than all of the rest.
 */
export class Wait implements Watched, Endable {
  lastActivity = Number.POSITIVE_INFINITY;
  readonly #end: (why: "expired" | Failure) => void;
  readonly #look: (() => RequestUnderWay | undefined) | undefined;

  /** `look` gives what is under way meanwhile, for whoever lists it. */
  constructor(end: (why: "expired" | Failure) => void, look?: () => RequestUnderWay | undefined) {
    this.#end = end;
    this.#look = look;
  }

  expire(): void {
    if (this.lastActivity !== Number.POSITIVE_INFINITY) this.#end("expired");
  }

  abort(failure: Failure): void {
    this.#end(failure);
  }

  look(): RequestUnderWay | undefined {
    return this.#look?.();
  }
}
