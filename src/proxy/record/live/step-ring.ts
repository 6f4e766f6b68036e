import { deflateRawSync, inflateRawSync } from "node:zlib";

/** What is known of a step of time, and of its end: the names of the columns. */
export const COLUMNS = [
  "up",
  "down",
  "connects",
  "requests",
  "refused",
  "connections",
  "tunnels",
  "dialP50",
  "dialP99",
] as const;
export type Column = (typeof COLUMNS)[number];

/** One step. Quantiles are NaN when there was no dial. */
export type Step = Readonly<Record<Column, number>>;

/** The last steps of one length, in columns of a fixed size. */
export class StepRing {
  readonly size: number;
  /** Steps that were added, also those that are forgotten. */
  count = 0;
  readonly #values: Float64Array;
  readonly #columns: Readonly<Record<Column, Float64Array>>;

  constructor(size: number) {
    this.size = size;
    this.#values = new Float64Array(size * COLUMNS.length);
    const entries = COLUMNS.map((name, at) => [name, this.#values.subarray(at * size, (at + 1) * size)]);
    this.#columns = Object.fromEntries(entries) as Record<Column, Float64Array>;
  }

  /** Steps that are kept. */
  get length(): number {
    return Math.min(this.count, this.size);
  }

  /** Adds a step, or many that are equal, of which those are written that are kept. */
  add(step: Step, times = 1): void {
    const end = this.count + times;
    for (let at = Math.max(this.count, end - this.size); at < end; at += 1)
      for (const name of COLUMNS) this.#columns[name][at % this.size] = step[name];
    this.count = end;
  }

  /** The last `length` values of a column, the oldest first; fewer when there are no more. */
  last(name: Column, length = this.size): number[] {
    const kept = Math.min(length, this.length);
    const column = this.#columns[name];
    return Array.from({ length: kept }, (_, index) => column[(this.count - kept + index) % this.size] ?? 0);
  }

  /** The step that was added as the nth, counted from 0; undefined when it is not kept. */
  at(index: number): Step | undefined {
    if (index < this.count - this.length || index >= this.count) return undefined;
    const entries = COLUMNS.map((name) => [name, this.#columns[name][index % this.size] ?? 0]);
    return Object.fromEntries(entries) as Record<Column, number>;
  }

  /** All values, compressed and in base64, for another process of the same machine: most of a ring that is not full is zeros. */
  save(): string {
    return deflateRawSync(this.#values, { level: 1 }).toString("base64");
  }

  /** Prepares to take over what `save` of a ring with `count` steps gave. Undefined when that is not of this size. */
  prepare(saved: string, count: number): (() => void) | undefined {
    const bytes = inflate(saved, this.#values.byteLength);
    if (bytes?.length !== this.#values.byteLength || !Number.isSafeInteger(count) || count < 0) return undefined;
    return () => {
      new Uint8Array(this.#values.buffer).set(bytes);
      this.count = count;
    };
  }

  /** Sums the last `length` values of a column. */
  sum(name: Column, length: number): number {
    const column = this.#columns[name];
    let sum = 0;
    for (let at = this.count - Math.min(length, this.length); at < this.count; at += 1)
      sum += column[at % this.size] ?? 0;
    return sum;
  }
}

/** Undefined when it is more than `most` bytes, or no compressed text. */
function inflate(text: string, most: number): Uint8Array | undefined {
  try {
    return inflateRawSync(Buffer.from(text, "base64"), { maxOutputLength: most });
  } catch {
    return undefined;
  }
}
