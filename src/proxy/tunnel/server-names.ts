import type { TargetPattern } from "../policy/policy.ts";
import { TargetSet } from "../policy/target-set.ts";

/** The names that SNI may have. */
export class ServerNames {
  /** Patterns as they are written: `example.org`, `*.example.org`, `*`. */
  readonly texts: readonly string[];
  readonly #names: TargetSet;

  constructor(texts: readonly string[], patterns: Iterable<TargetPattern>) {
    this.texts = texts;
    this.#names = new TargetSet(patterns);
  }

  /** `name` is canonical. */
  has(name: string): boolean {
    return this.#names.has({ kind: "name", text: name }, 0);
  }
}
