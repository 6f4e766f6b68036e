/** Buckets in each doubling of time: the middle of a bucket is off by 4.5 % at most. */
const PER_DOUBLING = 8;
/** Milliseconds below which all is one bucket. */
const LEAST_MS = 0.01;
/** Up to 69 seconds; the last one has no bound. */
export const LOG_BUCKETS = 184;

/** The bucket of a duration, for counts with as many elements as there are buckets. */
export function findLogBucket(ms: number): number {
  if (!(ms > LEAST_MS)) return 0;
  return Math.min(LOG_BUCKETS - 1, 1 + Math.floor(Math.log2(ms / LEAST_MS) * PER_DOUBLING));
}

/** A quantile of counted durations in milliseconds, by nearest rank; NaN when nothing was counted. */
export function findQuantile(counts: Uint32Array, quantile: number): number {
  const number = counts.reduce((sum, count) => sum + count, 0);
  if (number === 0) return Number.NaN;
  let left = Math.max(1, Math.ceil(quantile * number));
  const bucket = counts.findIndex((count) => (left -= count) <= 0);
  return bucket === 0 ? LEAST_MS : LEAST_MS * 2 ** ((bucket - 0.5) / PER_DOUBLING);
}
