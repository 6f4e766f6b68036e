/** What a bucket allows. */
export interface BucketLimit {
  readonly bytesPerSecond: number;
  /** Bytes that it holds at most: what was not used and may move at once later. */
  readonly burstBytes: number;
}

/** Bytes over time, from clients (up) and to them (down); undefined for no limit. */
export interface Bandwidth {
  readonly up: BucketLimit | undefined;
  readonly down: BucketLimit | undefined;
}

/**
 * Whole numbers of a bucket: its balance in units, when it was last filled in
 * milliseconds, flows that wait, how often it was set, and the milliseconds that
 * flows have waited, in two halves: a counter of 64 bits costs an allocation.
 */
const BALANCE = 0;
const FILLED_AT = 1;
const WAITING = 2;
const EPOCH = 3;
const PARKED_LOW = 4;
const PARKED_HIGH = 5;
const WORDS = 6;
/** Other numbers of a bucket: units per millisecond (0 for no limit), the most units that it holds, units per byte. */
const RATE = 0;
const BURST = 1;
const SCALE = 2;
const REALS = 3;
const BUCKET_BYTES = REALS * 8 + WORDS * 4;

/** One more than half of a counter holds. */
const WORD = 2 ** 32;

/** A bucket earns at most so many units a millisecond, and at least half: 32 bits hold two minutes, and fractions that are lost are none. */
const UNITS_PER_MS = 2 ** 14;
/** The most that a bucket holds: about a minute. */
const MAX_UNITS = 2 ** 30;
/** Flows wait at least so long for a turn of many, so that a timer is never too late for what was earned. */
const MIN_BURST_MS = 50;

/** Milliseconds of one turn, and in which all that wait have one: where that is enough to move bytes cheaply. */
const SMOOTH_TURN_MS = 50;
const SMOOTH_ROUND_MS = 200;
/** The same where a turn would have fewer bytes than this: four pipefuls of a lane, so that to wake up costs little beside moving them. */
const LARGE_BYTES = 4_194_304;
const LARGE_TURN_MS = 200;
const LARGE_ROUND_MS = 300;
/** The same where a turn would still have fewer bytes than this, because so many wait. */
const THRIFTY_BYTES = 65_536;
const THRIFTY_ROUND_MS = 700;
/** A turn is at least a segment, or what comes in this time. */
const SEGMENT_BYTES = 1460;
const SEGMENT_MS = 200;

/** Milliseconds after which a time that seems to be ahead is one of long ago: the clock of 32 bits went round. */
const SKEW_MS = 60_000;

/**
 * Token buckets in memory that threads share. Whoever looks at a bucket fills it
 * first, by the time since it was last filled: no thread works for another. A
 * balance is negative when flows have reserved what is still to be earned, each
 * for its turn: a later one is due later.
 */
export class TokenBuckets {
  readonly buffer: SharedArrayBuffer;
  /** An aligned store is never torn on x64 and arm64. */
  readonly #reals: Float64Array;
  readonly #words: Int32Array;
  readonly #clock: () => number;

  /** `clock` is monotonic, in milliseconds, and the same on all threads. */
  constructor(buffer: SharedArrayBuffer, clock = () => performance.now()) {
    const count = buffer.byteLength / BUCKET_BYTES;
    this.buffer = buffer;
    this.#reals = new Float64Array(buffer, 0, count * REALS);
    this.#words = new Int32Array(buffer, count * REALS * 8, count * WORDS);
    this.#clock = clock;
  }

  /** Makes `count` buckets without a limit. A bucket that is never used costs nothing. */
  static create(count: number, clock?: () => number): TokenBuckets {
    return new TokenBuckets(new SharedArrayBuffer(count * BUCKET_BYTES), clock);
  }

  /** Milliseconds, the same on all threads. */
  now(): number {
    return this.#clock();
  }

  /** Sets what a bucket allows, from now on; undefined for no limit. What flows have reserved counts no more: they ask again. */
  set(bucket: number, limit: BucketLimit | undefined, holds: "full" | "empty" = "full"): void {
    if (limit === undefined) {
      this.#reals[bucket * REALS + RATE] = 0;
    } else {
      const bytesPerMs = limit.bytesPerSecond / 1000;
      const scale = 2 ** Math.floor(Math.log2(UNITS_PER_MS / bytesPerMs));
      const rate = bytesPerMs * scale;
      const burst = Math.floor(Math.min(MAX_UNITS, Math.max(limit.burstBytes * scale, rate * MIN_BURST_MS)));
      this.#reals[bucket * REALS + SCALE] = scale;
      this.#reals[bucket * REALS + BURST] = burst;
      this.#reals[bucket * REALS + RATE] = rate;
      Atomics.store(this.#words, bucket * WORDS + FILLED_AT, this.#time());
      Atomics.store(this.#words, bucket * WORDS + BALANCE, holds === "full" ? burst : 0);
    }
    Atomics.add(this.#words, bucket * WORDS + EPOCH, 1);
  }

  /** Whether a bucket limits anything. */
  limits(bucket: number): boolean {
    return (this.#reals[bucket * REALS + RATE] ?? 0) > 0;
  }

  /** Bytes in a bucket now. Negative when more than those are reserved. */
  read(bucket: number): number {
    return Math.floor(this.#fill(bucket) / (this.#reals[bucket * REALS + SCALE] ?? 1));
  }

  /** Whether a bucket holds all that it can. */
  isFull(bucket: number): boolean {
    return !this.limits(bucket) || this.#fill(bucket) >= (this.#reals[bucket * REALS + BURST] ?? 0);
  }

  /** Changes when the bucket is set. */
  epoch(bucket: number): number {
    return Atomics.load(this.#words, bucket * WORDS + EPOCH);
  }

  /** Takes bytes, whether they are there or are still to be earned. */
  take(bucket: number, bytes: number): void {
    Atomics.sub(this.#words, bucket * WORDS + BALANCE, this.#count(bucket, bytes));
  }

  /** Gives back bytes that did not move. */
  giveBack(bucket: number, bytes: number): void {
    Atomics.add(this.#words, bucket * WORDS + BALANCE, this.#count(bucket, bytes));
  }

  /** Milliseconds until a bucket holds so many bytes. */
  dueIn(bucket: number, bytes: number): number {
    const missing = this.#count(bucket, bytes) - this.#fill(bucket);
    return Math.max(0, missing / (this.#reals[bucket * REALS + RATE] ?? 0));
  }

  /** Bytes of a full bucket. */
  measureBurst(bucket: number): number {
    return Math.floor((this.#reals[bucket * REALS + BURST] ?? 0) / (this.#reals[bucket * REALS + SCALE] ?? 1));
  }

  /**
   * Bytes of the next turn of a flow that waits, or is about to. That of a new flow
   * is not large: of many that begin at once, the first would keep the others waiting.
   */
  measureTurn(bucket: number, { isWaiting = false, isNew = false } = {}): number {
    const flows = Math.max(1, Atomics.load(this.#words, bucket * WORDS + WAITING) + (isWaiting ? 0 : 1));
    const bytesPerMs = (this.#reals[bucket * REALS + RATE] ?? 0) / (this.#reals[bucket * REALS + SCALE] ?? 1);
    const earn = (turnMs: number, roundMs: number): number => bytesPerMs * Math.min(turnMs, roundMs / flows);
    const large = isNew ? 0 : Math.min(LARGE_BYTES, earn(LARGE_TURN_MS, LARGE_ROUND_MS));
    const thrifty = Math.min(THRIFTY_BYTES, earn(LARGE_TURN_MS, THRIFTY_ROUND_MS));
    const least = Math.max(1, Math.min(SEGMENT_BYTES, bytesPerMs * SEGMENT_MS));
    return Math.floor(Math.max(earn(SMOOTH_TURN_MS, SMOOTH_ROUND_MS), large, thrifty, least));
  }

  /** Milliseconds in which an empty bucket becomes full. */
  measureBurstMs(bucket: number): number {
    return Math.round((this.#reals[bucket * REALS + BURST] ?? 0) / (this.#reals[bucket * REALS + RATE] ?? 0));
  }

  /** Flows that wait for a bucket. */
  countWaiting(bucket: number): number {
    return Atomics.load(this.#words, bucket * WORDS + WAITING);
  }

  /** Notes a flow that begins to wait for a bucket. */
  beginWaiting(bucket: number): void {
    Atomics.add(this.#words, bucket * WORDS + WAITING, 1);
  }

  /** Notes that a flow has waited for so many milliseconds. */
  endWaiting(bucket: number, ms: number): void {
    Atomics.sub(this.#words, bucket * WORDS + WAITING, 1);
    const added = Math.max(0, Math.round(ms));
    const low = Atomics.add(this.#words, bucket * WORDS + PARKED_LOW, added | 0) >>> 0;
    if (low + added >= WORD) Atomics.add(this.#words, bucket * WORDS + PARKED_HIGH, 1);
  }

  /** Gives the milliseconds that flows have waited since it was last asked. */
  drainParkedMs(bucket: number): number {
    const low = Atomics.exchange(this.#words, bucket * WORDS + PARKED_LOW, 0) >>> 0;
    return Atomics.exchange(this.#words, bucket * WORDS + PARKED_HIGH, 0) * WORD + low;
  }

  /** Bytes in units. Rounding loses nothing on the average. */
  #count(bucket: number, bytes: number): number {
    return bytes <= 0 ? 0 : Math.max(1, Math.round(bytes * (this.#reals[bucket * REALS + SCALE] ?? 1)));
  }

  /** Adds what was earned since the last time, and gives the balance in units. */
  #fill(bucket: number): number {
    const at = bucket * WORDS;
    const filledAt = Atomics.load(this.#words, at + FILLED_AT);
    const now = this.#time();
    const elapsed = elapse(filledAt, now);
    const balance = Atomics.load(this.#words, at + BALANCE);
    // Only one thread adds what this span of time has earned.
    if (elapsed === 0 || Atomics.compareExchange(this.#words, at + FILLED_AT, filledAt, now) !== filledAt)
      return balance;
    const earned = Math.floor(elapsed * (this.#reals[bucket * REALS + RATE] ?? 0));
    const burst = this.#reals[bucket * REALS + BURST] ?? 0;
    for (let before = balance; ;) {
      const filled = Math.min(burst, before + earned);
      const found = Atomics.compareExchange(this.#words, at + BALANCE, before, filled);
      if (found === before) return filled;
      before = found;
    }
  }

  #time(): number {
    return Math.floor(this.#clock()) | 0;
  }
}

/** Milliseconds between two times of 32 bits. A time that seems to be ahead is the skew of a thread, or long ago. */
function elapse(since: number, now: number): number {
  const elapsed = (now - since) | 0;
  if (elapsed >= 0) return elapsed;
  return elapsed > -SKEW_MS ? 0 : 0x7fff_ffff;
}
