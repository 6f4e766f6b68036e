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

/** Files that belong together, such as a certificate and its key. */
export interface FileGroup<T> {
  readonly files: readonly FollowedFile[];
  /** What new texts of all files, by name, make at that time; or why they cannot be used. */
  recompile(texts: ReadonlyMap<string, string>, now: number): Checked<T>;
}

export interface FollowOptions<T> {
  /** Puts what the files make now into effect, or says why it cannot be used. */
  readonly apply: (value: T) => { readonly ok: true } | { readonly ok: false; readonly message: string };
  /** Said before what is wrong with the new files. */
  readonly refusal: string;
  /** Where messages for the operator go, one line each. */
  readonly tell: (message: string) => void;
  /** The time, milliseconds since the epoch. */
  readonly now: () => number;
  /** Milliseconds without a change after which a group counts as replaced; 500 unless told otherwise. */
  readonly settleMs?: number;
  /** As `watchFile` takes it. */
  readonly pollMs?: number;
}

/**
 * Reads PEM files again when one of them changes, however they are replaced, and
 * keeps what is in use as long as the new ones cannot be used.
 */
export function followFiles<T>(group: FileGroup<T>, options: FollowOptions<T>): FileWatch {
  return new Follower(group, options);
}

class Follower<T> implements FileWatch {
  readonly #group: FileGroup<T>;
  readonly #options: FollowOptions<T>;
  /** What the files hold by now, by name; or why one of them cannot be read. */
  readonly #read = new Map<string, FileText>();
  readonly #watches: readonly FileWatch[];
  #settling: Timer | undefined;

  constructor(group: FileGroup<T>, options: FollowOptions<T>) {
    this.#group = group;
    this.#options = options;
    this.#watches = group.files.map(({ name, path, text }) => {
      this.#read.set(name, { ok: true, text });
      return watchFile(path, {
        known: text,
        kind: "pem",
        tell: (read) => this.#changed(name, read),
        ...(options.pollMs !== undefined && { pollMs: options.pollMs }),
      });
    });
  }

  close(): void {
    clearTimeout(this.#settling);
    for (const watch of this.#watches) watch.close();
  }

  /** A certificate and its key change one after the other: what is in between is no mistake. */
  #changed(name: string, read: FileText): void {
    this.#read.set(name, read);
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => this.#replace(), this.#options.settleMs ?? 500);
  }

  #replace(): void {
    const { tell, apply, refusal, now } = this.#options;
    const texts = new Map<string, string>();
    const problems: string[] = [];
    for (const [name, read] of this.#read) {
      if (read.ok) texts.set(name, read.text);
      else problems.push(`Cannot read ${quoteValue(name)}: ${read.reason}.`);
    }
    const compiled = this.#group.recompile(texts, now());
    if (!compiled.ok) problems.push(...compiled.problems.map(formatProblem));
    if (compiled.ok && problems.length === 0) {
      const applied = apply(compiled.value);
      if (applied.ok) return;
      problems.push(applied.message);
    }
    tell(refusal);
    for (const problem of problems) tell(`  ${problem}`);
  }
}
