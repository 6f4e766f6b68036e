import { type FileHandle, open, realpath, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";

import { readErrorCode } from "../error-code.ts";
import { readTextFile } from "../config/read-file.ts";
import { syncFolder } from "../state/durable-file.ts";
import { describeWriteError } from "./open-output.ts";

/** Milliseconds to wait for another program that changes the file. */
const LOCK_MS = 5000;
const LOCK_POLL_MS = 20;

export type UsersFileChange =
  { readonly ok: true; readonly replaced: boolean } | { readonly ok: false; readonly message: string };

/**
 * Adds or replaces the line of a user in an htpasswd file. The file is replaced at
 * once and keeps its owner and mode. Only its owner can read a new one.
 */
export async function putUserLine(path: string, user: string, line: string): Promise<UsersFileChange> {
  // Behind a link it is the file that changes, and not the link.
  const file = await realpath(path).catch(() => path);
  // The new text is written under this name, which only one program can take at a time.
  const fresh = `${file}.lock`;
  try {
    const lock = await takeLock(fresh);
    if (lock === undefined)
      return refuse(
        `Cannot write ${path}: ${fresh} is there. Another program is writing, or left it behind: remove it then.`,
      );
    let isInPlace = false;
    try {
      const read = await readTextFile(file, "users");
      if (!read.ok && read.missing !== true) return refuse(`Cannot read ${path}: ${read.reason}.`);
      const changed = putLine(read.ok ? read.text : "", user, line);
      await lock.writeFile(changed.text);
      if (read.ok) await takeOver(lock, file);
      await lock.sync();
      await rename(fresh, file);
      isInPlace = true;
      await syncFolder(dirname(file));
      return { ok: true, replaced: changed.replaced };
    } finally {
      await lock.close();
      // Otherwise the name may belong to another program already.
      if (!isInPlace) await rm(fresh, { force: true });
    }
  } catch (error) {
    if (readErrorCode(error) === undefined) throw error;
    return refuse(`Cannot write ${path}: ${describeWriteError(error)}.`);
  }
}

/** Creates the lock file; undefined when another program keeps it. */
async function takeLock(path: string): Promise<FileHandle | undefined> {
  const deadline = performance.now() + LOCK_MS;
  for (;;) {
    try {
      return await open(path, "wx", 0o600);
    } catch (error) {
      if (readErrorCode(error) !== "EEXIST") throw error;
      if (performance.now() > deadline) return undefined;
      await Bun.sleep(LOCK_POLL_MS);
    }
  }
}

async function takeOver(fresh: FileHandle, file: string): Promise<void> {
  const [own, old] = await Promise.all([fresh.stat(), stat(file)]);
  if (own.uid !== old.uid || own.gid !== old.gid) await fresh.chown(old.uid, old.gid);
  await fresh.chmod(old.mode & 0o777);
}

/** The text with the new line in the place of the user's first one. Further lines of the user are removed. */
function putLine(text: string, user: string, line: string): { text: string; replaced: boolean } {
  const lines = text.split("\n");
  const isTheirs = (each: string): boolean =>
    each
      .replace(/^\ufeff/, "")
      .trimStart()
      .startsWith(`${user}:`);
  const first = lines.findIndex(isTheirs);
  if (first < 0) {
    const end = text === "" || text.endsWith("\n") ? "" : "\n";
    return { text: `${text}${end}${line}\n`, replaced: false };
  }
  const ending = lines[first]?.endsWith("\r") ? "\r" : "";
  const kept = lines.filter((each, at) => at <= first || !isTheirs(each));
  const whole = kept.with(first, `${line}${ending}`).join("\n");
  return { text: whole.endsWith("\n") ? whole : `${whole}\n`, replaced: true };
}

function refuse(message: string): UsersFileChange {
  return { ok: false, message };
}
