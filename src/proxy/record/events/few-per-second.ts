/** Lets a few things through in each second, and counts the others. */
export class FewPerSecond {
  readonly #most: number;
  #second = Number.NaN;
  #through = 0;
  #leftOut = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /** Whether one more may pass. `now` is monotonic, in milliseconds. */
  allows(now: number): boolean {
    const second = Math.floor(now / 1000);
    if (second !== this.#second) this.#through = 0;
    this.#second = second;
    this.#through += 1;
    if (this.#through <= this.#most) return true;
    this.#leftOut += 1;
    return false;
  }

  /** Those that did not pass since this was asked last; undefined for none. */
  takeLeftOut(): number | undefined {
    const count = this.#leftOut;
    this.#leftOut = 0;
    return count === 0 ? undefined : count;
  }
}
