import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";

import { describeReadError } from "./read-file.ts";

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
