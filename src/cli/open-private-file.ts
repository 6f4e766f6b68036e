import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, lstat, open, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

import { describeWriteError } from "./describe-write-error.ts";

/** Why a file cannot be written, as the rest of a sentence. */
export type PrivateFile =
  { readonly ok: true; readonly file: FileHandle } | { readonly ok: false; readonly reason: string };

/**
 * Opens a file for what nobody else may read. It is a new one, of mode 0600,
 * in the place of whatever had that name: one that exists may be readable by
 * others, or be open already. A link is followed when it is ours or root's. A
 * pipe or a device is written to as it is.
 */
export async function openPrivateFile(path: string): Promise<PrivateFile> {
  try {
    const target = await findTarget(path);
    if (target === undefined) return { ok: false, reason: "it is a link of another user" };
    return {
      ok: true,
      file: target.special ? await open(target.path, constants.O_WRONLY) : await replace(target.path),
    };
  } catch (error) {
    return { ok: false, reason: describeWriteError(error) };
  }
}

interface Target {
  readonly path: string;
  /** Whether it is neither a regular file nor absent. */
  readonly special: boolean;
}

/** Where the file really is; undefined for a link that somebody else may have put there. */
async function findTarget(path: string): Promise<Target | undefined> {
  const found = await ifThere(lstat(path));
  if (found === undefined) return { path, special: false };
  if (!found.isSymbolicLink()) return { path, special: !found.isFile() };
  if (found.uid !== 0 && found.uid !== process.geteuid?.()) return undefined;
  const behind = await ifThere(stat(path));
  // Links of /proc lead to what has no name.
  if (behind !== undefined && !behind.isFile()) return { path, special: true };
  return { path: behind === undefined ? path : await realpath(path), special: false };
}

async function ifThere<T>(found: Promise<T>): Promise<T | undefined> {
  try {
    return await found;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
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
