import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { dirname } from "node:path";

import { describeReadError, type FileKind, type FileText, readTextFile } from "./read-file.ts";

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
  return new PatientWatch(path, options);
}

class PatientWatch implements FileWatch {
  readonly #path: string;
  readonly #options: WatchOptions;
  readonly #poll: Timer;
  readonly #watcher: FSWatcher | undefined;
  #settling: Timer | undefined;
  /** The last identity, size and time of the file: a change restarts the wait. */
  #seen: string | undefined;
  /** The text in use, or the last one that `tell` got. */
  #told: FileText;
  #closed = false;

  constructor(path: string, options: WatchOptions) {
    this.#path = path;
    this.#options = options;
    this.#told = { ok: true, text: options.known };
    this.#watcher = this.#watchFolder();
    this.#poll = setInterval(() => void this.#look(), options.pollMs ?? 2000);
    this.#poll.unref();
    // The file may have changed since it was read.
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    this.#watcher?.close();
  }

  /** Undefined when the system gives no watch: polling remains. */
  #watchFolder(): FSWatcher | undefined {
    try {
      const folder = dirname(this.#path);
      const watcher = watch(folder, { persistent: false }, () => void this.#look());
      watcher.on("error", () => watcher.close());
      return watcher;
    } catch {
      return undefined;
    }
  }

  async #look(): Promise<void> {
    const looks = await describeLooks(this.#path);
    if (this.#closed || looks === this.#seen) return;
    this.#seen = looks;
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => void this.#read(), this.#options.settleMs ?? 100);
  }

  async #read(): Promise<void> {
    const read = await readTextFile(this.#path, this.#options.kind);
    const looks = await describeLooks(this.#path);
    if (this.#closed) return;
    // The file changed meanwhile: the text may be half of it.
    if (looks !== this.#seen) return this.#look();
    if (isSame(read, this.#told)) return;
    this.#told = read;
    this.#options.tell(read);
  }
}

function isSame(a: FileText, b: FileText): boolean {
  if (a.ok) return b.ok && a.text === b.text;
  return !b.ok && a.reason === b.reason;
}

/** Differs whenever the file is replaced or written to. */
async function describeLooks(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, mtimeNs, ctimeNs].join(":");
  } catch (error) {
    return describeReadError(error);
  }
}
