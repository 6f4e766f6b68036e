import { type FSWatcher, watch } from "node:fs";
import { lstat, readlink, stat } from "node:fs/promises";
import { dirname, join } from "node:path";

import { describeReadError, type FileKind, type FileText, readTextFile } from "./read-file.ts";

/** Watches a folder, and with it files that are renamed over others; undefined when the system gives no watch: polling remains. */
export function watchFolder(folder: string, onChange: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(folder, { persistent: false }, onChange);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

/** What differs whenever the file is replaced or written to; and when that was, in milliseconds since the epoch, 0 when it cannot be told. */
export async function describeLooks(path: string): Promise<{ looks: string; changedAt: number }> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return { looks: [dev, ino, size, mtimeNs, ctimeNs].join(":"), changedAt: Number(ctimeNs / 1_000_000n) };
  } catch (error) {
    return { looks: describeReadError(error), changedAt: 0 };
  }
}

/** Reads of a file that is being written, and milliseconds between them. */
const MOST_READS = 20;
const BETWEEN_READS_MS = 100;

/** Reads a file that did not change while it was read: half of a list is another list. */
export async function readSettledFile(path: string, kind: FileKind): Promise<FileText> {
  for (let reads = 0; reads < MOST_READS; reads++) {
    const before = await describeLooks(path);
    const read = await readTextFile(path, kind);
    if (!read.ok || before.looks === (await describeLooks(path)).looks) return read;
    await Bun.sleep(BETWEEN_READS_MS);
  }
  return { ok: false, reason: "it changes all the time. Write it under another name, and rename it" };
}

/** Links on the way to a file at most, as for the system. */
const MAX_LINKS = 40;

/** When the youngest link on the way to an absolute path was made, in milliseconds since the epoch; 0 where there is none. */
export async function findLinkChange(path: string): Promise<number> {
  let latest = 0;
  let at = "/";
  let links = 0;
  const left = path.split("/");
  try {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      if (name === "..") at = dirname(at);
      if (name === "" || name === "." || name === "..") continue;
      const next = join(at, name);
      const found = await lstat(next);
      if (!found.isSymbolicLink()) {
        at = next;
        continue;
      }
      links += 1;
      if (links > MAX_LINKS) break;
      latest = Math.max(latest, found.ctimeMs);
      const target = await readlink(next);
      if (target.startsWith("/")) at = "/";
      left.unshift(...target.split("/"));
    }
  } catch {
    // What is missing has no links.
  }
  return latest;
}
