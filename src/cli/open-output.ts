import { constants } from "node:fs";
import { type FileHandle, open, stat } from "node:fs/promises";

import { describeWriteError } from "./describe-write-error.ts";
import { openPrivateFile } from "./open-private-file.ts";

/**
 * Opens a file to write to that only its owner can read, or says why it cannot
 * be written. One that is there already is replaced by `force` alone; a pipe or a
 * device is written to in any case. No folder is made.
 */
export async function openOutput(path: string, force: boolean): Promise<FileHandle | string> {
  if (force) {
    const opened = await openPrivateFile(path);
    return opened.ok ? opened.file : `Cannot write ${path}: ${opened.reason}.`;
  }
  try {
    return await create(path);
  } catch (error) {
    return `Cannot write ${path}: ${describeWriteError(error)}.`;
  }
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, "wx", 0o600);
  } catch (error) {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    if (!isThere || !(await isSpecial(path))) throw error;
    return open(path, constants.O_WRONLY);
  }
}

/** Whether it is a pipe or a device, as /dev/stdout is. */
async function isSpecial(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found !== undefined && !found.isFile() && !found.isDirectory();
}
