import type { Tell } from "../operator-message.ts";
import { resolve } from "node:path";

import type { Materials } from "./materials.ts";
import { type Checked, formatProblem, quoteValue } from "./problem.ts";
import type { FileText } from "./read-file.ts";
import { type FileWatch, watchFile } from "./watch-file.ts";

/** A file that is in use. */
export interface FollowedFile {
  /** As the configuration names it. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** The text that is in use. */
  readonly text: string;
}

/** Files to follow, with the texts in use. */
export function followed(
  names: readonly string[],
  { folder, files }: Pick<Materials, "folder" | "files">,
): FollowedFile[] {
  return names.map((name) => ({ name, path: resolve(folder, name), text: files.get(name) ?? "" }));
}

/** Files that belong together, such as a certificate and its key. */
export interface FileGroup<T> {
  readonly files: readonly FollowedFile[];
  /** Compiles new texts of all files, by name, at that time; or says why they cannot be used. */
  recompile(texts: ReadonlyMap<string, string>, now: number): Checked<T>;
}

/** Whether new files are in effect, or why they cannot be used. */
export type Applied = { readonly ok: true } | { readonly ok: false; readonly message: string };

export interface FollowOptions<T> {
  /** Puts the result of new files into effect. */
  readonly apply: (value: T) => Applied;
  /** The line before the list of what is wrong with the new files. */
  readonly refusal: string;
  /** Where messages for the operator go, one line each. */
  readonly tell: Tell;
  /** The time, milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds without a change after which all files of a group count as replaced. Default: 500. */
  readonly settleMs?: number;
  /** As `watchFile` takes it. */
  readonly pollMs?: number;
}

/**
 * Reads PEM files again when one of them changes, however they are replaced. What
 * is in use stays as long as the new files cannot be used.
 */
export function followFiles<T>(group: FileGroup<T>, options: FollowOptions<T>): FileWatch {
  const { settleMs = 500, pollMs } = options;
  /** The present text of each file, by name; or why it cannot be read. */
  const read = new Map<string, FileText>();
  let settling: Timer | undefined;
  const watches = group.files.map(({ name, path, text }) => {
    read.set(name, { ok: true, text });
    return watchFile(path, {
      known: text,
      kind: "pem",
      ...(pollMs !== undefined && { pollMs }),
      tell(changed) {
        read.set(name, changed);
        // A certificate and its key change one after the other: the state in between is no mistake.
        clearTimeout(settling);
        settling = setTimeout(() => replaceFiles(group, read, options), settleMs);
      },
    });
  });
  return {
    close() {
      clearTimeout(settling);
      for (const watch of watches) watch.close();
    },
  };
}

function replaceFiles<T>(group: FileGroup<T>, read: ReadonlyMap<string, FileText>, options: FollowOptions<T>): void {
  const { tell, apply, refusal, now } = options;
  const texts = new Map<string, string>();
  const problems: string[] = [];
  for (const [name, file] of read) {
    if (file.ok) texts.set(name, file.text);
    else problems.push(`Cannot read ${quoteValue(name)}: ${file.reason}.`);
  }
  const compiled = group.recompile(texts, now());
  if (!compiled.ok) problems.push(...compiled.problems.map(formatProblem));
  if (compiled.ok && problems.length === 0) {
    const applied = apply(compiled.value);
    if (applied.ok) return;
    problems.push(applied.message);
  }
  tell(refusal, "error");
  for (const problem of problems) tell(`  ${problem}`, "error");
}
