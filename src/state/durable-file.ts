import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { readErrorCode } from "../error-code.ts";

/**
 * Writes a file in one step: a reader, and a start after a power cut, finds the old
 * text or the new one. When this is done the new one is on disk. Only its owner can
 * read it, unless `mode` says otherwise.
 */
export async function writeDurably(path: string, text: string, mode = 0o600): Promise<void> {
  const fresh = nameFresh(path);
  try {
    await rm(fresh, { force: true });
    const file = await open(fresh, "wx", mode);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, path);
  } catch (error) {
    await rm(fresh, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** The same for a thread of its own, which may wait. */
export function writeDurablySync(path: string, text: string): void {
  const fresh = nameFresh(path);
  rmSync(fresh, { force: true });
  const file = openSync(fresh, "wx", 0o600);
  try {
    writeFileSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(fresh, path);
  try {
    const folder = openSync(dirname(path), "r");
    fsyncSync(folder);
    closeSync(folder);
  } catch (error) {
    if (!unsyncable.has(readErrorCode(error) ?? "")) throw error;
  }
}

/** Makes a folder that only its owner can use, with those above it, unless it is there. */
export async function makePrivateFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

/** A rename is on disk once its folder is. */
export async function syncFolder(path: string): Promise<void> {
  try {
    await using folder = await open(path, "r");
    await folder.sync();
  } catch (error) {
    if (!unsyncable.has(readErrorCode(error) ?? "")) throw error;
  }
}

/** Windows opens no folders, and some file systems and permissions do not let them be synced. */
const unsyncable: ReadonlySet<string> = new Set(["EACCES", "EINVAL", "EISDIR", "ENOTSUP", "EOPNOTSUPP", "EPERM"]);

/** Another process may write the same file. What one of the same number left behind is replaced. */
function nameFresh(path: string): string {
  return `${path}.${process.pid}.new`;
}
