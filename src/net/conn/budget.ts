/** A flow that waits for its budget. */
export interface Budgeted {
  /** More bytes may move: the flow asks its budget again. */
  refilled(): void;
}

/** Bytes that the flows of one direction may move. Flows that share a limit share its budget. */
export interface Budget {
  /**
   * Takes up to `wanted` bytes and returns how many may move now. After fewer
   * than `wanted`, the budget calls `flow.refilled()` once when more may move.
   */
  take(wanted: number, flow: Budgeted): number;
  /** Gives back bytes that were taken and did not move. */
  giveBack(bytes: number): void;
  /** The flow waits no longer. Without effect when it does not wait. */
  leave(flow: Budgeted): void;
  /** Numbers of the buckets in shared memory that it is made of. Absent when only this thread knows it: its flows stay out of lanes. */
  readonly buckets?: readonly number[] | undefined;
}

/** What a bucket allows. */
export interface BucketLimit {
  readonly bytesPerSecond: number;
  /** Bytes that it holds at most, and holds at first. */
  readonly burstBytes: number;
}

/** Bytes over time, from clients (up) and to them (down); undefined for no limit. */
export interface Bandwidth {
  readonly up: BucketLimit | undefined;
  readonly down: BucketLimit | undefined;
}

/** Words of a bucket: bytes that may move, milliseconds when they were last added to, flows that wait. */
const TOKENS = 0;
const FILLED_AT = 1;
const WAITING = 2;
const WORDS = 3;

/** Tokens are 32-bit numbers. */
const MAX_TOKENS = 2 ** 30;
/** A turn is at least a segment, and at most what comes in this time. Flows wait until so much is there: one wake-up serves several. */
const MIN_TURN = 1460;
const TURN_MS = 50;
/** Within this time each of those that wait has its turn. */
const ROUND_MS = 500;
/** A turn is never so far ahead: it was long ago, and the clock of 32 bits went round. */
const MAX_DUE_MS = 3_600_000;
/** A thread whose clock began late may be so many milliseconds behind the one that filled a bucket. */
const SKEW_MS = 60_000;

/**
 * Token buckets in memory that threads share. Whoever takes from a bucket fills
 * it first, by the time since it was last filled: no thread works for another.
 */
export class TokenBuckets {
  readonly buffer: SharedArrayBuffer;
  /** Bytes per millisecond, and the most that a bucket holds. An aligned store is never torn on x64 and arm64. */
  readonly #limits: Float64Array;
  readonly #state: Int32Array;
  readonly #clock: () => number;
  /** The latest turn of those on this thread that wait for a bucket. */
  readonly #dueAt: Int32Array;

  /** `clock` is monotonic, in milliseconds, and about the same on all threads. */
  constructor(buffer: SharedArrayBuffer, clock = () => performance.now()) {
    const count = buffer.byteLength / (16 + WORDS * 4);
    this.buffer = buffer;
    this.#limits = new Float64Array(buffer, 0, count * 2);
    this.#state = new Int32Array(buffer, count * 16, count * WORDS);
    this.#dueAt = new Int32Array(count);
    this.#clock = clock;
  }

  /** Makes `count` buckets, all empty. A bucket that is never used costs nothing. */
  static create(count: number): TokenBuckets {
    // A multiple of eight bytes in all.
    return new TokenBuckets(new SharedArrayBuffer((count + (count % 2)) * (16 + WORDS * 4)));
  }

  /** Sets what a bucket allows, and fills it. */
  set(bucket: number, { bytesPerSecond, burstBytes }: BucketLimit): void {
    const burst = Math.min(MAX_TOKENS, Math.max(MIN_TURN, Math.floor(burstBytes)));
    this.#limits[bucket * 2] = bytesPerSecond / 1000;
    this.#limits[bucket * 2 + 1] = burst;
    Atomics.store(this.#state, bucket * WORDS + FILLED_AT, this.#now());
    Atomics.store(this.#state, bucket * WORDS + TOKENS, burst);
  }

  /** Bytes in a bucket now. */
  read(bucket: number): number {
    this.#fill(bucket);
    return Atomics.load(this.#state, bucket * WORDS + TOKENS);
  }

  /**
   * Takes up to `wanted` bytes: 0 when there are not enough for a turn. While
   * flows wait, only they take, `hasTurn`, and no more than a turn each.
   */
  take(bucket: number, wanted: number, hasTurn: boolean): number {
    this.#fill(bucket);
    const waiting = Atomics.load(this.#state, bucket * WORDS + WAITING);
    if (waiting > 0 && !hasTurn) return 0;
    const least = Math.min(wanted, this.#measureTurn(bucket, waiting));
    const most = waiting > 1 ? least : wanted;
    for (;;) {
      const tokens = Atomics.load(this.#state, bucket * WORDS + TOKENS);
      if (tokens < least) return 0;
      const taken = Math.min(tokens, most);
      if (Atomics.compareExchange(this.#state, bucket * WORDS + TOKENS, tokens, tokens - taken) === tokens)
        return taken;
    }
  }

  /** Gives back bytes that did not move. */
  giveBack(bucket: number, bytes: number): void {
    Atomics.add(this.#state, bucket * WORDS + TOKENS, bytes);
  }

  /** Counts a flow that begins to wait (1), or waits no longer (-1). */
  countWaiting(bucket: number, change: 1 | -1): void {
    Atomics.add(this.#state, bucket * WORDS + WAITING, change);
  }

  /** Milliseconds until a flow that begins to wait, or waits on, may take: at least 1, unless it may now. */
  dueIn(bucket: number): number {
    const rate = this.#limits[bucket * 2] ?? 0;
    const missing = this.#measureTurn(bucket, 1) - this.read(bucket);
    const now = this.#now();
    const elapsed = elapse(Atomics.load(this.#state, bucket * WORDS + FILLED_AT), now);
    const ms = missing > 0 ? Math.max(1, Math.ceil(missing / rate) - elapsed) : 0;
    // Not before those that wait already.
    const last = ((this.#dueAt[bucket] ?? 0) - now) | 0;
    const due = last > 0 && last < MAX_DUE_MS ? Math.max(ms, last) : ms;
    this.#dueAt[bucket] = (now + due) | 0;
    return due;
  }

  /** Bytes of one turn, when so many flows wait. */
  #measureTurn(bucket: number, waiting: number): number {
    const ms = Math.min(TURN_MS, ROUND_MS / Math.max(1, waiting));
    const turn = Math.floor((this.#limits[bucket * 2] ?? 0) * ms);
    return Math.min(Math.max(MIN_TURN, turn), this.#limits[bucket * 2 + 1] ?? 0);
  }

  #fill(bucket: number): void {
    const filledAt = Atomics.load(this.#state, bucket * WORDS + FILLED_AT);
    const now = this.#now();
    const earned = Math.floor(elapse(filledAt, now) * (this.#limits[bucket * 2] ?? 0));
    if (earned < 1) return;
    // Only one thread adds what this span of time has earned.
    if (Atomics.compareExchange(this.#state, bucket * WORDS + FILLED_AT, filledAt, now) !== filledAt) return;
    const burst = this.#limits[bucket * 2 + 1] ?? 0;
    for (;;) {
      const tokens = Atomics.load(this.#state, bucket * WORDS + TOKENS);
      const filled = Math.max(tokens, Math.min(burst, tokens + earned));
      if (Atomics.compareExchange(this.#state, bucket * WORDS + TOKENS, tokens, filled) === tokens) return;
    }
  }

  #now(): number {
    return Math.floor(this.#clock()) | 0;
  }
}

/** Milliseconds between two times of 32 bits. A time that seems to be ahead is the skew of a thread, or long ago. */
function elapse(since: number, now: number): number {
  const elapsed = (now - since) | 0;
  if (elapsed >= 0) return elapsed;
  return elapsed > -SKEW_MS ? 0 : 0x7fff_ffff;
}

/** The buckets that limit one flow: it moves what all of them allow. */
export class SharedBudget {
  readonly #buckets: TokenBuckets;
  readonly #numbers: readonly number[];
  /** The bucket that it waits for. */
  #short: number | undefined;

  constructor(buckets: TokenBuckets, numbers: readonly number[]) {
    this.#buckets = buckets;
    this.#numbers = numbers;
  }

  /** Takes up to `wanted` bytes. After 0 the flow waits: it takes its turn once `dueIn` is 0, and not before. */
  take(wanted: number): number {
    const waitedFor = this.#short;
    let allowed = wanted;
    let short: number | undefined;
    for (const bucket of this.#numbers) {
      // A flow that waited for one bucket has its turn in all: else it could wait for them by turns for ever.
      const taken = this.#buckets.take(bucket, allowed, waitedFor !== undefined);
      if (taken < allowed) this.#giveBackBefore(bucket, allowed - taken);
      allowed = taken;
      if (taken > 0) continue;
      short = bucket;
      break;
    }
    if (short !== waitedFor) this.#waitFor(short);
    return allowed;
  }

  /** Gives bytes back to the buckets before one. */
  #giveBackBefore(bucket: number, bytes: number): void {
    for (const before of this.#numbers) {
      if (before === bucket) return;
      this.#buckets.giveBack(before, bytes);
    }
  }

  /** Gives back bytes that did not move. */
  giveBack(bytes: number): void {
    if (bytes > 0) for (const bucket of this.#numbers) this.#buckets.giveBack(bucket, bytes);
  }

  /** The bucket that it waits for. */
  get waitsFor(): number | undefined {
    return this.#short;
  }

  /** Milliseconds until it may take again. */
  get dueIn(): number {
    return this.#short === undefined ? 0 : this.#buckets.dueIn(this.#short);
  }

  /** Waits no longer. */
  leave(): void {
    this.#waitFor(undefined);
  }

  #waitFor(bucket: number | undefined): void {
    if (this.#short !== undefined) this.#buckets.countWaiting(this.#short, -1);
    if (bucket !== undefined) this.#buckets.countWaiting(bucket, 1);
    this.#short = bucket;
  }
}
