import { dirname } from "node:path";
import { takeFolderLock } from "../net/libc/file-lock.ts";
import { type Outcome, done, refuse } from "./refusal.ts";

/**
 * Keeps other upgrades away from an executable until the end. Two at once would
 * each take the file of the other for the one before, and take it back.
 *
 * The folder is locked: the file is another one after the first of them.
 */
export function takeTurn(target: string): Outcome<Disposable> {
  let release: (() => void) | undefined;
  try {
    release = takeFolderLock(dirname(target));
  } catch {
    // Whoever may not read the folder may still write to it.
    return done({ [Symbol.dispose]: () => {} });
  }
  if (release === undefined)
    return refuse("replace", `Another upgrade in ${dirname(target)} is under way. Try again when it is over.`);
  return done({ [Symbol.dispose]: release });
}
