/** Milliseconds without a byte after which the sidecar is given up: on `/live` a tick comes each second. */
export const SILENCE_MS = 15_000;

export const WENT_SILENT = "The sidecar went silent.";

/** Gives a request up when nothing comes any more. A connection that breaks without a word tells nobody. */
export class Silence implements Disposable {
  readonly #request = new AbortController();
  /** Ends the request: after the silence, when it is given up, or when `leaving` says so. */
  readonly signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout>;
  #isOver = false;

  constructor(leaving: AbortSignal) {
    this.signal = AbortSignal.any([leaving, this.#request.signal]);
    this.#timer = this.#wait();
  }

  /** Whether nothing came for too long. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Something came. */
  heard(): void {
    clearTimeout(this.#timer);
    this.#timer = this.#wait();
  }

  /** Gives the request up, if it was not yet over. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#request.abort();
  }

  #wait(): ReturnType<typeof setTimeout> {
    return setTimeout(() => {
      this.#isOver = true;
      this.#request.abort();
    }, SILENCE_MS);
  }
}
