import { dirname } from "node:path";
import { takeFolderLock } from "../net/libc/file-lock.ts";
import { type Outcome, done, refuse } from "./refusal.ts";

/**
 * Keeps other upgrades away until the end. Two at once would each take the file of
 * the other for the one before, and take it back.
 *
 * The folder is locked: the executable is another file after the first of them.
 */
export class Turn implements Disposable {
  #release: (() => void) | undefined;

  take(target: string): Outcome<undefined> {
    try {
      this.#release = takeFolderLock(dirname(target));
    } catch {
      // Whoever may not read the folder may still write to it.
      return done(undefined);
    }
    if (this.#release !== undefined) return done(undefined);
    return refuse("replace", `Another upgrade in ${dirname(target)} is under way. Try again when it is over.`);
  }

  [Symbol.dispose](): void {
    this.#release?.();
  }
}
