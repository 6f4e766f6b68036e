import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { ifPresent, readErrorCode } from "../error-code.ts";
import { describeReadError } from "../config/read-file.ts";

/**
 * Opens a file that only its owner can read, or says why it cannot be written.
 * Without `force` it must not exist. With it a new file takes its place, because
 * others may be able to read the old one or have it open. A link is followed when
 * it is ours or root's. A pipe or a device is written to as it is.
 */
export async function openOutput(path: string, force: boolean): Promise<FileHandle | string> {
  try {
    const target = await findTarget(path);
    if (target === undefined) return `Cannot write ${path}: it is a link of another user.`;
    if (target.special) return await open(target.path, constants.O_WRONLY);
    return force ? await replace(target.path) : await open(path, "wx", 0o600);
  } catch (error) {
    return `Cannot write ${path}: ${describeWriteError(error)}.`;
  }
}

interface Target {
  readonly path: string;
  /** Whether it is neither a regular file nor absent. */
  readonly special: boolean;
}

/** Where the file really is; undefined for a link that somebody else may have put there. */
async function findTarget(path: string): Promise<Target | undefined> {
  const found = await ifPresent(lstat(path));
  if (found === undefined) return { path, special: false };
  if (!found.isSymbolicLink()) return { path, special: !found.isFile() };
  if (found.uid !== 0 && found.uid !== process.geteuid?.()) return undefined;
  const behind = await ifPresent(stat(path));
  // Links of /proc lead to what has no name.
  if (behind !== undefined && !behind.isFile()) return { path, special: true };
  return { path: behind === undefined ? path : await realpath(path), special: false };
}

async function replace(path: string): Promise<FileHandle> {
  const fresh = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
  const file = await open(fresh, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  try {
    await rename(fresh, path);
    return file;
  } catch (error) {
    await file.close();
    await rm(fresh, { force: true });
    throw error;
  }
}

/** What went wrong with writing a file, for people; continues a sentence. */
export function describeWriteError(error: unknown): string {
  const code = readErrorCode(error);
  switch (code) {
    case "EEXIST":
      return "it is there already. Choose another name, or replace it with --force";
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such folder";
    case "ENOSPC":
    case "EDQUOT":
      return "there is no space left";
    default:
      return describeReadError(error);
  }
}
