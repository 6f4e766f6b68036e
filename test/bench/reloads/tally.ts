/** What became of many of one kind. */
export interface Tally {
  readonly started: number;
  readonly done: number;
  /** Failures by their description. */
  readonly failed: Readonly<Record<string, number>>;
  /** Failures that the operator was to expect: at a listener that was announced as removed. */
  readonly excused: Readonly<Record<string, number>>;
  /** Milliseconds until the answer. */
  readonly latency: { readonly p50: number; readonly p99: number; readonly max: number };
}

/** Counts what becomes of many of one kind. */
export class Counter {
  started = 0;
  done = 0;
  readonly failed: Record<string, number> = {};
  readonly excused: Record<string, number> = {};
  readonly #latencies: number[] = [];

  /** Runs one. It gives how it failed, or the milliseconds until its answer. */
  async count(run: () => Promise<string | number>, isExcused: () => boolean = () => false): Promise<void> {
    this.started += 1;
    const result = await run().catch((error: unknown) => describeError(error));
    if (typeof result === "number") {
      this.done += 1;
      this.#latencies.push(result);
      return;
    }
    const failures = isExcused() ? this.excused : this.failed;
    failures[result] = (failures[result] ?? 0) + 1;
  }

  get tally(): Tally {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    const { started, done, failed, excused } = this;
    return { started, done, failed, excused, latency: { p50: at(0.5), p99: at(0.99), max: at(1) } };
  }
}

export function sumFailures(...tallies: readonly Pick<Tally, "failed">[]): number {
  return tallies.flatMap(({ failed }) => Object.values(failed)).reduce((sum, count) => sum + count, 0);
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string" ? error.code : error.message.slice(0, 200);
}
