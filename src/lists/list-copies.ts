import { readFileSync } from "node:fs";
import { readdir, rename, rm, stat, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ifPresent } from "../error-code.ts";
import { makePrivateFolder, writeDurably } from "../state/durable-file.ts";

/** Where the last good text of a list is kept in the state folder. */
function nameCopy(folder: string, key: string): string {
  return join(folder, "lists", `${hash(key).slice(0, 32)}.list`);
}

/** Keeps the last good text of a list: a line with its hash, then the text. It is whole or not there. */
export async function writeListCopy(folder: string, key: string, text: string): Promise<void> {
  const path = nameCopy(folder, key);
  await makePrivateFolder(dirname(path));
  await writeDurably(path, `${hash(text)}\n${text}`);
}

/** Milliseconds for which a copy stays that no process uses. */
const UNUSED_MS = 30 * 24 * 60 * 60 * 1000;
/** A copy, and what a process left behind that was killed while it wrote or removed one. */
const COPY = /^[0-9a-f]{32}\.list(?:\.(?:\d+\.)?(?:new|removed))*$/;

/**
 * Marks the copies that this process uses, and removes those that no process has
 * marked for 30 days: others with the same folder may have other lists.
 */
export async function tidyListCopies(stateFolder: string, keys: readonly string[], now: number): Promise<void> {
  const used = new Set(keys.map((key) => nameCopy(stateFolder, key)));
  const folder = join(stateFolder, "lists");
  for (const name of (await ifPresent(readdir(folder))) ?? []) {
    const path = join(folder, name);
    if (used.has(path)) await ifPresent(utimes(path, now / 1000, now / 1000));
    else if (COPY.test(name)) await ifPresent(removeUnused(path, now - UNUSED_MS));
  }
}

async function removeUnused(path: string, usedSince: number): Promise<void> {
  if ((await stat(path)).mtimeMs > usedSince) return;
  // A process may have written it in this moment: only what was taken away cannot change any more.
  const taken = `${path}.${process.pid}.removed`;
  await rename(path, taken);
  if ((await stat(taken)).mtimeMs > usedSince) await rename(taken, path);
  else await rm(taken);
}

/** The last good text of a list; undefined when there is none, or when it is damaged. */
export function readListCopy(folder: string, key: string): string | undefined {
  let written: string;
  try {
    written = readFileSync(nameCopy(folder, key), "utf8");
  } catch {
    return undefined;
  }
  const end = written.indexOf("\n");
  const text = written.slice(end + 1);
  return hash(text) === written.slice(0, end) ? text : undefined;
}

function hash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
