import { dlopen } from "bun:ffi";

/** `ITIMER_REAL` of setitimer(2), whose signal ends the process. */
const REAL = 0;
const libraries = ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libSystem.B.dylib"];

/**
 * Has the system end this process after `ms` milliseconds, whatever it is busy
 * with: a configuration file is a program that may never give its turn back. False
 * where the system cannot be asked for it.
 */
export function endProcessAfter(ms: number): boolean {
  // struct itimerval: the interval, then the value, each in seconds and microseconds.
  const timer = BigInt64Array.of(0n, 0n, BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1000));
  for (const name of libraries) {
    try {
      const { symbols } = dlopen(name, { setitimer: { args: ["i32", "ptr", "ptr"], returns: "i32" } });
      return symbols.setitimer(REAL, timer, null) === 0;
    } catch {
      // Another system has another name for it.
    }
  }
  return false;
}
