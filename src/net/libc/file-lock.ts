import { closeSync, openSync } from "node:fs";
import { openLibc } from "./libc.ts";

/** flock(2): exclusive, without waiting. */
const LOCK_EX_NB = 2 | 4;
const LOCK_UN = 8;

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
  return () => {
    // A process that is started at this moment has a copy of the descriptor until it runs its program.
    libc?.flock(fd, LOCK_UN);
    closeSync(fd);
  };
}
