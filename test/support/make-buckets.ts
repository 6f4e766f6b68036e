import { TokenBuckets } from "../../src/net/conn/token-buckets.ts";

export const MEGABYTE = 1_000_000;

/** Buckets on a clock that a test moves. */
export function makeBuckets(count = 4) {
  const time = { now: 1000 };
  const { buffer } = TokenBuckets.create(count);
  return { time, buckets: new TokenBuckets(buffer, () => time.now) };
}
