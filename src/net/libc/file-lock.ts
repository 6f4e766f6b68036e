import { closeSync, openSync } from "node:fs";
import { openLibc } from "./libc.ts";

/** flock(2): exclusive, without waiting. */
const LOCK_EX_NB = 2 | 4;

/**
 * Takes a lock that other processes respect, and gives what gives it back;
 * undefined when another process has it. The system gives it back when this
 * process ends. Where there is no such call nobody else is asked.
 */
export function takeFileLock(path: string): (() => void) | undefined {
  // Close-on-exec: a process that is started does not keep it.
  const fd = openSync(path, "a", 0o600);
  const libc = openLibc();
  if (libc !== undefined && libc.flock(fd, LOCK_EX_NB) < 0) {
    closeSync(fd);
    return undefined;
  }
  return () => closeSync(fd);
}
