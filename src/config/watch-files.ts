import type { FSWatcher } from "node:fs";
import { dirname } from "node:path";

import { describeLooks, findLinkChange, watchFolder } from "./file-changes.ts";

export interface WatchFilesOptions {
  /** Called once the files are stable after a change. */
  readonly changed: () => void;
  /** Milliseconds without a change after which files count as written. Default: 300. */
  readonly settleMs?: number;
  /** Milliseconds between polls, for changes that the system does not report (network file systems, links into other folders). Default: 2,000. */
  readonly pollMs?: number;
}

/** Files that never come to rest count as written after so many times of `settleMs`. */
const MOST_SETTLES = 20;
/** How much earlier than the clock says the time stamp of a file may be, in milliseconds. */
const COARSE_MS = 20;

/**
 * Watches files by their folders, so that a file that is renamed over another one
 * and a link that leads elsewhere (a ConfigMap) are seen. Polls for what the
 * system does not report.
 */
export class FilesWatch {
  readonly #options: WatchFilesOptions;
  readonly #poll: Timer;
  readonly #folders = new Map<string, FSWatcher | undefined>();
  /** Identity, size and times of each file as they were last seen. */
  #seen = new Map<string, string>();
  #settling: Timer | undefined;
  /** Monotonic milliseconds of the first change that was not told yet. */
  #unsettledSince: number | undefined;
  #closed = false;

  constructor(options: WatchFilesOptions) {
    this.#options = options;
    this.#poll = setInterval(() => void this.#look(), options.pollMs ?? 2000);
    this.#poll.unref();
  }

  /**
   * Watches these files and no others. A file that is new here counts as changed
   * when it has changed since `readSince`, in milliseconds since the epoch.
   */
  async watch(paths: readonly string[], readSince: number): Promise<void> {
    this.#watchFolders(new Set(paths.map((path) => dirname(path))));
    const before = this.#seen;
    const seen = new Map<string, string>();
    let isLate = false;
    this.#seen = seen;
    for (const path of new Set(paths)) seen.set(path, before.get(path) ?? "");
    for (const path of seen.keys()) {
      if (before.has(path)) continue;
      const { looks, changedAt } = await describeLooks(path);
      seen.set(path, looks);
      // A link that leads elsewhere now may lead to an old file.
      if (Math.max(changedAt, await findLinkChange(path)) >= readSince - COARSE_MS) isLate = true;
    }
    if (isLate) this.#settle();
    void this.#look();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#settling);
    this.#watchFolders(new Set());
  }

  #watchFolders(wanted: ReadonlySet<string>): void {
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher?.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) {
      if (!this.#folders.has(folder))
        this.#folders.set(
          folder,
          watchFolder(folder, () => void this.#look()),
        );
    }
  }

  /** Restarts the wait when something is other than before. */
  async #look(): Promise<void> {
    const seen = this.#seen;
    for (const [path, before] of seen) {
      const { looks } = await describeLooks(path);
      if (this.#closed || seen !== this.#seen) return;
      if (looks === before || seen.get(path) !== before) continue;
      seen.set(path, looks);
      this.#settle();
    }
  }

  #settle(): void {
    clearTimeout(this.#settling);
    if (this.#closed) return;
    const { settleMs = 300, changed } = this.#options;
    const now = performance.now();
    this.#unsettledSince ??= now;
    const left = this.#unsettledSince + settleMs * MOST_SETTLES - now;
    this.#settling = setTimeout(
      () => {
        this.#unsettledSince = undefined;
        changed();
      },
      Math.max(0, Math.min(settleMs, left)),
    );
  }
}
