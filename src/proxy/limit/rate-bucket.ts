import type { Rate } from "./limits.ts";

/** Far less than one request, and more than sums of doubles are wrong. */
const ROUNDING = 1e-6;

/** What is carried to another process. */
export interface SavedBucket {
  readonly used: number;
  /** Monotonic milliseconds at which so much was used. */
  readonly at: number;
  readonly taken: number;
}

/** How the buckets of a table are shared with other processes. */
export interface RateSharing {
  /** Is told of each bucket that is asked for a token; undefined where nothing is shared. */
  asked: ((key: string) => void) | undefined;
  /** The part of the rate of a bucket of which nothing is known elsewhere, from 0 to 1. */
  share: number;
}

/**
 * A token bucket that remembers what was used of it instead of what is left. So
 * tokens that were used stay used when the rate changes, up to all of the new
 * bucket, and an untouched bucket is full whatever its size is. In any span of time it gives at most `burst`
 * tokens and what the rate brings in that span.
 */
export class RateBucket {
  /** Tokens used and not yet brought back by the rate. */
  #used = 0;
  /** Monotonic milliseconds of `#used`. */
  #at = 0;
  #perMs = 0;
  /** The rate by which `#used` was settled last. */
  #rate: Rate | undefined;
  /** Tokens taken so far: never less than before, but for what was given back. */
  taken = 0;
  /** The part of the rate that this process may give, from 0 to 1; the rest is for other processes. */
  share = 1;
  readonly #key: string;
  readonly #sharing: RateSharing | undefined;

  constructor(key = "", sharing?: RateSharing) {
    this.#key = key;
    this.#sharing = sharing;
    if (sharing !== undefined) this.share = sharing.share;
  }

  /** Brings the bucket up to date. Gives the milliseconds until a token is there: 0 when one can be taken now. */
  settle(rate: Rate, now: number): number {
    this.#sharing?.asked?.(this.#key);
    if (rate !== this.#rate) this.#follow(rate, now);
    this.#perMs = (rate.perSecond * this.share) / 1000;
    this.#used = this.usedAt(now);
    this.#at = Math.max(this.#at, now);
    const missing = this.#used + 1 - this.#sizeFor(rate);
    if (missing <= ROUNDING) return 0;
    return this.#perMs > 0 ? missing / this.#perMs : Number.POSITIVE_INFINITY;
  }

  /** Tokens that are still missing at `now`, under the rate that was known last. */
  usedAt(now: number): number {
    return Math.max(0, this.#used - Math.max(0, now - this.#at) * this.#perMs);
  }

  /** Takes the token that `settle` has found. */
  take(): void {
    this.#used += 1;
    this.taken += 1;
  }

  /** Gives a token back that was taken and not used. */
  giveBack(): void {
    this.#used = Math.max(0, this.#used - 1);
    this.taken -= 1;
  }

  /** Tokens that are there at `now`; less than 0 when more were taken than there were. */
  tokensAt(rate: Rate, now: number): number {
    return this.#sizeFor(rate) - this.usedAt(now);
  }

  /** Gives the bucket another share of the rate, and so many tokens: more than its size is its size. */
  fill(rate: Rate, tokens: number, share: number, now: number): void {
    this.share = share;
    this.#rate = rate;
    this.#perMs = (rate.perSecond * share) / 1000;
    this.#used = Math.max(0, this.#sizeFor(rate) - tokens);
    this.#at = now;
  }

  /**
   * Takes up another rate. The time until now has brought what the rate before
   * brings. Of a smaller bucket all is used at most: what was allowed is no debt.
   */
  #follow(rate: Rate, now: number): void {
    const before = this.#rate;
    this.#rate = rate;
    if (before?.perSecond === rate.perSecond && before.burst === rate.burst) return;
    // Of what comes from another process, nothing is known but what was used.
    if (before === undefined) this.#perMs = (rate.perSecond * this.share) / 1000;
    this.#used = Math.min(this.usedAt(now), this.#sizeFor(rate));
    this.#at = Math.max(this.#at, now);
  }

  /** Less than one token would never let anything through. */
  #sizeFor({ burst }: Rate): number {
    return Math.max(1, burst * this.share);
  }

  save(): SavedBucket {
    return { used: this.#used, at: this.#at, taken: this.taken };
  }

  /**
   * Adds what another process has used. `base` is what it had taken when that was
   * last added here: only what it took since then is new.
   */
  restore({ used, at, taken }: SavedBucket, base: number | undefined): void {
    if (base === undefined) {
      this.#used += used;
      this.#at = Math.max(this.#at, at);
    } else this.#used += Math.min(used, Math.max(0, taken - base));
  }
}

/** Whole seconds for `Retry-After`: after them, and not a second earlier, a token is there. */
export function toRetrySeconds(waitMs: number): number {
  return Math.min(MOST_SECONDS, Math.max(1, Math.ceil(waitMs / 1000 - ROUNDING)));
}

/** A day: what no one waits for anyway. */
const MOST_SECONDS = 86_400;
