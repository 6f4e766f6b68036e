import { CLOCK_MONOTONIC } from "../libc/constants.ts";
import { openLibc } from "../libc/libc.ts";

/**
 * Milliseconds from `performance.now()` of this process to CLOCK_MONOTONIC, which
 * all processes of a machine share. Undefined where that clock cannot be read.
 */
export function readClockOffset(): number | undefined {
  const libc = openLibc();
  const time = new BigInt64Array(2);
  const before = performance.now();
  if (libc === undefined || libc.getTime(CLOCK_MONOTONIC, time) < 0) return undefined;
  return toMilliseconds(time) - before;
}

/** The same, as exactly as a thread can tell that is interrupted now and then. 0 where that clock cannot be read. */
export function measureClockOffset(): number {
  const samples = Array.from({ length: 8 }, readClockOffset).filter((offset) => offset !== undefined);
  return samples.length === 0 ? 0 : Math.min(...samples);
}

/** `time`: seconds, then nanoseconds. */
function toMilliseconds(time: BigInt64Array): number {
  return Number(time[0] ?? 0n) * 1000 + Number(time[1] ?? 0n) / 1_000_000;
}
