import type { TokenBuckets } from "./token-buckets.ts";

/** A flow that waits asks again after so many milliseconds at the latest: its buckets may have been set meanwhile. */
const PATIENCE_MS = 1000;
/** Milliseconds for which a flow keeps what it did not use of its turn: more may be on its way, from far off or in the next read. A large turn is 200 ms of the rate. */
const CREDIT_MS = 250;
/** A flow that wants at least so many bytes probably has more, and gets a whole turn. */
const BULK_BYTES = 16_385;
/** Milliseconds without a turn after which a flow counts as new. */
const PAUSE_MS = 1000;
/** This part of a turn is not worth a read of its own: with less left the turn is over. */
const LAST_PART = 1 / 8;
/**
 * Turns of bulk transfers that go on come at multiples of so many milliseconds, so
 * that one wake-up serves many flows: up to half of it earlier than they are earned,
 * or later. A bucket that holds what comes in the whole does not run over meanwhile.
 */
const GRID_MS = 100;
/** Milliseconds that may be reserved in advance. Where so many wait, flows do not reserve, but ask again. */
const MAX_AHEAD_MS = 60_000;

/**
 * The buckets that limit one flow: it moves what all of them allow. Where that is
 * less than a turn, the flow reserves its next turn in all of them, behind those
 * that wait already, and waits until that is earned. So all that wait have their
 * turns in the order in which they asked, on whatever thread, and each knows when.
 */
export class SharedBudget {
  readonly #buckets: TokenBuckets;
  readonly #numbers: readonly number[];
  /** The bucket that it waits for. */
  #waitsFor: number | undefined;
  /** Bytes that are reserved. */
  #reserved = 0;
  #since = 0;
  #dueAt = 0;
  /** The epochs of the buckets, in which it reserved. */
  #epoch = 0;
  /** Bytes of its last turn that it may still move, and until when. */
  #credit = 0;
  /** Bytes that its last turn had, and when that began. */
  #turn = 0;
  #turnAt = -Infinity;
  #creditUntil = -Infinity;

  /** `hasMoved`: the flow has had turns elsewhere, so that it is not new. */
  constructor(buckets: TokenBuckets, numbers: readonly number[], { hasMoved = false } = {}) {
    this.#buckets = buckets;
    this.#numbers = numbers;
    if (hasMoved) this.#turnAt = buckets.now();
  }

  /** Takes up to `wanted` bytes. After 0 the flow waits, and asks again after `dueIn` milliseconds. */
  take(wanted: number): number {
    if (!this.#hasTurn()) return 0;
    if (this.#credit > 0) {
      const used = Math.min(this.#credit, wanted);
      this.#credit -= used;
      return used;
    }
    const allowed = this.#ask(wanted, true);
    if (allowed > 0) for (const bucket of this.#numbers) this.#buckets.take(bucket, allowed);
    return allowed;
  }

  /** Tells how many of `wanted` bytes `take` would give now. With `waits`, 0 means the same as after `take`. */
  expect(wanted: number, waits: boolean): number {
    if (!this.#hasTurn()) return 0;
    if (this.#credit > this.#turn * LAST_PART) return Math.min(this.#credit, wanted);
    if (waits && this.#credit > 0) this.#dropCredit();
    return this.#credit > 0 ? Math.min(this.#credit, wanted) : this.#ask(wanted, waits);
  }

  /** Gives back bytes that did not move. */
  giveBack(bytes: number): void {
    if (bytes <= 0) return;
    if (this.#creditUntil > this.#buckets.now()) this.#credit += bytes;
    else this.#return(bytes);
  }

  /** The bucket that it waits for. */
  get waitsFor(): number | undefined {
    return this.#waitsFor;
  }

  /** Milliseconds until it is to ask again, or to return its credit; Infinity when neither is due. */
  get dueIn(): number {
    if (this.#waitsFor === undefined)
      return this.#credit > 0 ? Math.max(0, this.#creditUntil - this.#buckets.now()) : Infinity;
    return Math.max(0, Math.min(PATIENCE_MS, this.#dueAt - this.#buckets.now()));
  }

  /** Gives back what is left of its last turn, if its time is over. */
  returnCredit(): void {
    if (this.#credit > 0 && this.#buckets.now() >= this.#creditUntil) this.#dropCredit();
  }

  /** Waits no longer, and keeps nothing. */
  leave(): void {
    if (this.#credit > 0) this.#dropCredit();
    if (this.#waitsFor !== undefined) this.#return(this.#endWaiting(this.#epoch === this.#readEpoch()));
  }

  /** Begins its turn, if that has come. False as long as it waits. */
  #hasTurn(): boolean {
    if (this.#waitsFor === undefined) return true;
    const isStill = this.#epoch === this.#readEpoch();
    if (isStill && this.#buckets.now() < this.#dueAt) return false;
    const reserved = this.#endWaiting(isStill);
    if (reserved > 0) {
      this.#turn = reserved;
      this.#turnAt = this.#buckets.now();
      this.#credit = reserved;
      this.#creditUntil = this.#turnAt + CREDIT_MS;
    }
    return true;
  }

  #dropCredit(): void {
    this.#return(this.#credit);
    this.#credit = 0;
    this.#creditUntil = -Infinity;
  }

  #return(bytes: number): void {
    if (bytes > 0) for (const bucket of this.#numbers) this.#buckets.giveBack(bucket, bytes);
  }

  /** Gives the bytes that are there, if they are enough for a turn, or all that a bucket holds. Else reserves one if it `waits`. */
  #ask(wanted: number, waits: boolean): number {
    let turn = wanted < BULK_BYTES ? wanted : Infinity;
    const isNew = this.#buckets.now() - this.#turnAt >= PAUSE_MS;
    let least = turn;
    let there = Infinity;
    for (const bucket of this.#numbers) {
      if (!this.#buckets.limits(bucket)) continue;
      turn = Math.min(turn, this.#buckets.measureTurn(bucket, { isNew }));
      least = Math.min(least, turn, this.#buckets.measureBurst(bucket));
      there = Math.min(there, this.#buckets.read(bucket));
    }
    if (there >= least) return Math.min(wanted, there);
    if (!waits || this.#reserve(turn, { isOnGrid: !isNew && turn >= BULK_BYTES })) return 0;
    // Another thread has lifted all limits meanwhile.
    return wanted;
  }

  /** Reserves a turn and begins to wait for it. False, without both, when nothing is limited. */
  #reserve(bytes: number, { isOnGrid }: { isOnGrid: boolean }): boolean {
    this.#creditUntil = -Infinity;
    let latest = -1;
    let isCoarse = isOnGrid;
    for (const bucket of this.#numbers) {
      if (!this.#buckets.limits(bucket)) continue;
      isCoarse &&= this.#buckets.measureBurstMs(bucket) >= GRID_MS;
      const dueIn = this.#buckets.dueIn(bucket, bytes);
      if (dueIn <= latest) continue;
      latest = dueIn;
      this.#waitsFor = bucket;
    }
    if (this.#waitsFor === undefined) return false;
    this.#since = this.#buckets.now();
    this.#epoch = this.#readEpoch();
    const isAhead = latest <= MAX_AHEAD_MS;
    this.#reserved = isAhead ? bytes : 0;
    this.#dueAt = this.#since + (isAhead ? latest : PATIENCE_MS);
    if (isCoarse) this.#dueAt = alignTurn(this.#dueAt, this.#since);
    if (isAhead) for (const bucket of this.#numbers) this.#buckets.take(bucket, bytes);
    this.#buckets.beginWaiting(this.#waitsFor);
    return true;
  }

  /** Gives what was reserved; nothing when that counts no more. */
  #endWaiting(isStill: boolean): number {
    const reserved = isStill ? this.#reserved : 0;
    if (this.#waitsFor !== undefined) this.#buckets.endWaiting(this.#waitsFor, this.#buckets.now() - this.#since);
    this.#waitsFor = undefined;
    this.#reserved = 0;
    return reserved;
  }

  #readEpoch(): number {
    let sum = 0;
    for (const bucket of this.#numbers) sum = (sum + this.#buckets.epoch(bucket)) | 0;
    return sum;
  }
}

/** The nearest time of the grid that is not over. A look at a queue of turns comes up to 20 ms late: 1 ms before its time it does not. */
function alignTurn(dueAt: number, now: number): number {
  return Math.max(Math.round(dueAt / GRID_MS), Math.floor(now / GRID_MS) + 1) * GRID_MS - 1;
}
