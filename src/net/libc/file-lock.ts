import { closeSync, openSync } from "node:fs";
import { EAGAIN } from "./errno.ts";
import { openLibc } from "./libc.ts";

/** flock(2): exclusive, without waiting. */
const LOCK_EX_NB = 2 | 4;
const LOCK_UN = 8;

/**
 * Takes a lock that other processes respect, and gives what gives it back;
 * undefined when another process has it. The system gives it back when this
 * process ends. Where there is no such call, or a file system without locks,
 * nobody else is asked.
 */
export function takeFileLock(path: string): (() => void) | undefined {
  // Close-on-exec: a process that is started does not keep it.
  return lock(openSync(path, "a", 0o600));
}

/** The same for a folder that is there: no file is left behind. */
export function takeFolderLock(path: string): (() => void) | undefined {
  return lock(openSync(path, "r"));
}

function lock(fd: number): (() => void) | undefined {
  const libc = openLibc();
  if (libc?.flock(fd, LOCK_EX_NB) === -EAGAIN) {
    closeSync(fd);
    return undefined;
  }
  return () => {
    // A process that is started at this moment has a copy of the descriptor until it runs its program.
    libc?.flock(fd, LOCK_UN);
    closeSync(fd);
  };
}
