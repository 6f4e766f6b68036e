import { CLOCK_MONOTONIC } from "./constants.ts";
import { type Libc, openLibc } from "./libc.ts";

/** Microseconds of CLOCK_MONOTONIC, which all processes share; the clocks of the runtime begin with the process. */
export function readMonotonicUsec(libc: Libc): bigint {
  const time = new BigInt64Array(2);
  libc.getTime(CLOCK_MONOTONIC, time);
  return (time[0] ?? 0n) * 1_000_000n + (time[1] ?? 0n) / 1000n;
}

/** Milliseconds of CLOCK_MONOTONIC at which `performance.now()` of this process was 0; 0 where there is no such clock. */
export function readClockOriginMs(): number {
  const libc = openLibc();
  return libc === undefined ? 0 : Number(readMonotonicUsec(libc)) / 1000 - performance.now();
}
