import { runAtOnce } from "../../steps.ts";
import type { Host } from "../../address/host.ts";
import type { RuleList } from "./rule-list.ts";
import { type TargetIndex, TargetIndexBuilder, type TargetPattern } from "./target-index.ts";

/** A set of targets that patterns describe. A look-up costs the same however many there are. */
export class TargetSet {
  readonly #targets: TargetIndex;

  constructor(patterns: Iterable<TargetPattern>) {
    const builder = new TargetIndexBuilder();
    runAtOnce(builder.add(0, patterns));
    this.#targets = runAtOnce(builder.build([{}]));
  }

  has(host: Host, port: number): boolean {
    const { open, names, ranges, lists } = this.#targets;
    if (hasPort(open, port)) return true;
    if (host.kind === "name") return names.find(host.text).some((list) => hasPort(lists[list], port));
    for (let node = ranges.find(host.ip); node !== undefined; node = node.wider)
      if (hasPort(lists[node.value], port)) return true;
    return false;
  }
}

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

function hasPort(list: RuleList | undefined, port: number): boolean {
  return list !== undefined && list.forAll.some(({ ports }) => ports.has(port));
}
