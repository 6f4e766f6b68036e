import { describeLooks } from "./file-changes.ts";
import { type FileKind, type FileText, readTextFile } from "./read-file.ts";
import { FilesWatch } from "./watch-files.ts";

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

/** Calls `tell` with the text of `path` each time it changes, once a file that is being written stays unchanged. */
export function watchFile(path: string, { known, tell, kind, settleMs = 100, pollMs }: WatchOptions): FileWatch {
  /** The text in use, or the last one that `tell` got. */
  let told: FileText = { ok: true, text: known };
  let closed = false;
  const readAgain = async (): Promise<void> => {
    const before = await describeLooks(path);
    const read = await readTextFile(path, kind);
    const after = await describeLooks(path);
    // The file changed meanwhile, which is seen again: the text may be half of it.
    if (closed || before.looks !== after.looks || isSame(read, told)) return;
    told = read;
    tell(read);
  };
  const files = new FilesWatch({
    changed: () => void readAgain(),
    settleMs,
    ...(pollMs !== undefined && { pollMs }),
  });
  // The file may have changed since it was read.
  void files.watch([path], 0);
  return {
    close() {
      closed = true;
      files.close();
    },
  };
}

function isSame(a: FileText, b: FileText): boolean {
  if (a.ok) return b.ok && a.text === b.text;
  return !b.ok && a.reason === b.reason;
}
