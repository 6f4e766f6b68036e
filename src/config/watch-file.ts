import { dirname } from "node:path";

import { describeLooks, watchFolder } from "./file-changes.ts";
import { type FileKind, type FileText, readTextFile } from "./read-file.ts";

export interface FileWatch {
  close(): void;
}

export interface WatchOptions {
  /** The text in use: `tell` is called once the file has another one. */
  readonly known: string;
  readonly tell: (read: FileText) => void;
  readonly kind: FileKind;
  /** Milliseconds without a change after which a file counts as written. Default: 100. */
  readonly settleMs?: number;
  /** Milliseconds between polls, for changes that the system does not report (network file systems, links into other folders). Default: 2,000. */
  readonly pollMs?: number;
}

/**
 * Calls `tell` with the text of `path` each time it changes. Watches the folder
 * and not the file, to see a file that is renamed over the old one. Waits until
 * a file that is being written stays unchanged.
 */
export function watchFile(path: string, options: WatchOptions): FileWatch {
  const { known, tell, kind, settleMs = 100, pollMs = 2000 } = options;
  /** The text in use, or the last one that `tell` got. */
  let told: FileText = { ok: true, text: known };
  /** The last identity, size and time of the file: a change restarts the wait. */
  let seen: string | undefined;
  let settling: Timer | undefined;
  let closed = false;
  const look = async (): Promise<void> => {
    const { looks } = await describeLooks(path);
    if (closed || looks === seen) return;
    seen = looks;
    clearTimeout(settling);
    settling = setTimeout(() => void readAgain(), settleMs);
  };
  const readAgain = async (): Promise<void> => {
    const read = await readTextFile(path, kind);
    const { looks } = await describeLooks(path);
    if (closed) return;
    // The file changed meanwhile: the text may be half of it.
    if (looks !== seen) return look();
    if (isSame(read, told)) return;
    told = read;
    tell(read);
  };
  const watcher = watchFolder(dirname(path), () => void look());
  const poll = setInterval(() => void look(), pollMs);
  poll.unref();
  // The file may have changed since it was read.
  void look();
  return {
    close() {
      closed = true;
      clearInterval(poll);
      clearTimeout(settling);
      watcher?.close();
    },
  };
}

function isSame(a: FileText, b: FileText): boolean {
  if (a.ok) return b.ok && a.text === b.text;
  return !b.ok && a.reason === b.reason;
}
