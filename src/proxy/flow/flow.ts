import type { Budget, Budgeted } from "../../net/conn/budget.ts";
import type { Conn } from "../../net/conn/conn.ts";

/** Bytes that all flows of one direction have moved. */
export interface ByteTotal {
  bytes: number;
}

/** Bytes of tunnels and of forwarded messages, those of what is under way included: up is from client to target. */
export interface Traffic {
  readonly up: ByteTotal;
  readonly down: ByteTotal;
}

export function createTraffic(): Traffic {
  return { up: { bytes: 0 }, down: { bytes: 0 } };
}

/** What a flow under a budget wants to read at once: all that it may move in its turn. */
export const WANTED_BYTES = 1_048_576;
/** A flow that reads so many bytes at once probably has more. So many are read although nothing may move, and wait in memory. */
export const BULK_BYTES = 16_384;

/** The rest of a flow whose sink is closed for writing: bytes for it are lost. */
const LOST = new Uint8Array(0);

/**
 * One direction of bytes in user space: what is read from `source` is written to
 * `sink`. What does not fit waits here, and the source is paused meanwhile, so
 * that at most one read is in memory, whatever the peers do.
 *
 * A splice lane has the same contract for the kernel's way: `LaneDirection`.
 */
export class Flow implements Budgeted {
  /** Bytes that the sink took. */
  bytes = 0;
  source!: Conn;
  protected sink!: Conn;
  /** What the sink did not take yet, or the budget did not allow yet. Never empty, but for `LOST`. */
  #rest: Uint8Array | undefined;
  #budget: Budget | undefined;
  /** Counts beside `bytes`, for all flows. */
  readonly total: ByteTotal;

  constructor(total: ByteTotal = { bytes: 0 }) {
    this.total = total;
  }

  /** Begins to carry bytes between two connections. Without `budget` nothing limits it. */
  begin(source: Conn, sink: Conn, budget?: Budget): void {
    this.bytes = 0;
    this.source = source;
    this.sink = sink;
    this.#rest = undefined;
    this.#budget = budget;
  }

  get budget(): Budget | undefined {
    return this.#budget;
  }

  /** Whether the sink took everything. Never again once the sink is closed for writing: its own `close` follows and says how. */
  get empty(): boolean {
    return this.#rest === undefined;
  }

  /** Writes bytes. Keeps a copy of what the sink does not take or the budget does not allow, and pauses the source. */
  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#rest !== undefined) {
      // A head behind a body, or bytes that were under way when the source was paused.
      if (this.#rest !== LOST) this.#rest = Buffer.concat([this.#rest, bytes]);
      return;
    }
    const taken = this.#budget === undefined ? this.sink.write(bytes) : this.#writeWithin(this.#budget, bytes);
    if (taken < bytes.length) {
      this.#rest = taken < 0 ? LOST : new Uint8Array(bytes.subarray(taken));
      if (taken >= 0) this.source.pause();
    } else if (this.#budget !== undefined) {
      this.planRead(this.#budget, bytes.length);
    }
    if (taken > 0) this.count(bytes, taken);
  }

  /** All that was read is written: the next read brings no more than may be written then, so that no rest is copied. */
  protected planRead(budget: Budget, _before: number): void {
    this.source.mostPerRead = Math.max(budget.expect(WANTED_BYTES), BULK_BYTES);
  }

  /** Writes the rest: the sink has room again, or the budget has more. */
  flush(): void {
    const rest = this.#rest;
    if (rest === undefined || rest === LOST) return;
    const taken = this.#budget === undefined ? this.sink.write(rest) : this.#writeWithin(this.#budget, rest);
    if (taken === rest.length) this.#rest = undefined;
    else this.#rest = taken < 0 ? LOST : rest.subarray(taken);
    if (taken > 0) this.count(rest, taken);
    if (this.#rest === undefined) this.proceed();
  }

  refilled(): void {
    this.flush();
  }

  /** Puts a copy of the bytes before all others: they waited where the flow was before. `flush` writes them. */
  hold(bytes: Uint8Array): void {
    this.#rest = new Uint8Array(bytes);
  }

  /** Takes what the sink did not take. */
  takeRest(): Uint8Array | undefined {
    const rest = this.#rest;
    this.#rest = undefined;
    return rest === LOST ? undefined : rest;
  }

  /** Whether it waits for its budget, and for nothing else. */
  get isParked(): boolean {
    return this.#budget?.isAwaited === true;
  }

  /** Goes on with another budget, or without one. */
  limit(budget: Budget | undefined): void {
    const isParked = this.isParked;
    this.#budget?.leave(this);
    this.#budget = budget;
    this.source.mostPerRead = Infinity;
    if (isParked) this.refilled();
  }

  /** Waits for nothing any more. */
  release(): void {
    this.#budget?.leave(this);
  }

  /** The sink took the first `taken` bytes of these. */
  protected count(_bytes: Uint8Array, taken: number): void {
    this.bytes += taken;
    this.total.bytes += taken;
  }

  /** The rest was written: goes on reading. */
  protected proceed(): void {
    this.source.resume();
  }

  /** As `write` of a connection, but no more than the budget allows. */
  #writeWithin(budget: Budget, bytes: Uint8Array): number {
    const allowed = budget.take(bytes.length, this);
    if (allowed === 0) return 0;
    const taken = this.sink.write(allowed === bytes.length ? bytes : bytes.subarray(0, allowed));
    if (taken < allowed) {
      budget.giveBack(allowed - Math.max(0, taken));
      // It waits for the sink now.
      budget.leave(this);
    }
    return taken;
  }
}
