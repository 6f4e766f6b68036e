/** Counts durations in fixed buckets. An observation costs a few comparisons and no allocation. */
export class Histogram {
  /** Upper bounds in milliseconds, ascending; a last bucket without bound follows. */
  readonly boundsMs: readonly number[];
  /** Observations per bucket, not cumulated. */
  readonly counts: number[];
  count = 0;
  sumMs = 0;

  constructor(boundsMs: readonly number[]) {
    this.boundsMs = boundsMs;
    this.counts = Array.from({ length: boundsMs.length + 1 }, () => 0);
  }

  observe(ms: number): void {
    let bucket = 0;
    while (bucket < this.boundsMs.length && ms > (this.boundsMs[bucket] ?? 0)) bucket += 1;
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1;
    this.count += 1;
    this.sumMs += ms;
  }
}
