/** Milliseconds between two messages about the same thing. */
const QUIET_MS = 10_000;

/** Different things that are remembered, which bounds log and memory. */
const MAX_THINGS = 64;

interface Told {
  readonly at: number;
  silenced: number;
}

/**
 * Limits messages about things that can happen a thousand times a second: the first
 * at once, then one every ten seconds, with the count in between.
 */
export class QuietTeller {
  readonly #tell: (message: string) => void;
  readonly #now: () => number;
  readonly #told = new Map<string, Told>();
  /** Messages left out because too many different things happened. */
  #untold = 0;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(tell: (message: string) => void, now = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  /** `write` makes the message. `silenced` counts those left out since the last one. */
  report(thing: string, write: (silenced: number) => string): void {
    const now = this.#now();
    const told = this.#told.get(thing);
    if (told !== undefined && now - told.at < QUIET_MS) {
      told.silenced += 1;
      return;
    }
    if (told === undefined && this.#told.size >= MAX_THINGS && !this.#forgetOld(now)) {
      this.#untold += 1;
      return;
    }
    this.#told.set(thing, { at: now, silenced: 0 });
    const others = this.#untold === 0 ? "" : ` ${this.#untold} messages about other things were left out.`;
    this.#untold = 0;
    this.#tell(`${write(told?.silenced ?? 0)}${others}`);
  }

  /** True when there is room again. */
  #forgetOld(now: number): boolean {
    for (const [thing, { at, silenced }] of this.#told) {
      if (now - at < QUIET_MS) continue;
      this.#told.delete(thing);
      this.#untold += silenced;
    }
    return this.#told.size < MAX_THINGS;
  }
}
