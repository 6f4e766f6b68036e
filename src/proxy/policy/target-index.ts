import { isStep, type Steps } from "../../steps.ts";
import type { Cidr } from "../../address/cidr.ts";
import { type RangeIndex, RangeIndexBuilder } from "../../address/range-index.ts";
import { type NameIndex, NameIndexBuilder } from "./name-index.ts";
import { type PortSet, PortSetTable } from "./port-set.ts";
import { buildRuleList, type ClientCondition, EntryChains, type RuleEntry, type RuleList } from "./rule-list.ts";

/** A target pattern of a rule's `to`, compiled. */
export interface TargetPattern {
  readonly host:
    | { readonly kind: "any" }
    | { readonly kind: "name"; readonly name: string }
    /** `*.example.org`: every name below it, not itself. */
    | { readonly kind: "suffix"; readonly suffix: string }
    | { readonly kind: "cidr"; readonly cidr: Cidr };
  /** Inclusive port ranges; empty for every port. */
  readonly ports: readonly (readonly [from: number, to: number])[];
}

/** The rules of a policy by the targets that they match. */
export interface TargetIndex {
  /** Rules that match any target. */
  readonly open: RuleList;
  /** Values are indexes in `lists`. */
  readonly names: NameIndex;
  readonly ranges: RangeIndex;
  readonly lists: readonly (RuleList | undefined)[];
  /** Rules with a range: they cannot tell about a name before it is resolved. */
  readonly withRange: RuleList;
  /** Rules with a name pattern: they cannot tell about a name that is still to be completed. */
  readonly withName: RuleList;
}

/** Collects the targets of rules, rule by rule. */
export class TargetIndexBuilder {
  readonly #names = new NameIndexBuilder();
  readonly #ranges = new RangeIndexBuilder();
  readonly #chains = new EntryChains();
  readonly #portSets = new PortSetTable();
  readonly #open: RuleEntry[] = [];
  readonly #withRange: RuleEntry[] = [];
  readonly #withName: RuleEntry[] = [];

  /** Enters a rule, after all rules before it. Without patterns it matches any target. */
  *add(rule: number, patterns: Iterable<TargetPattern> | undefined): Steps<void> {
    const ports = { any: new Set<PortSet>(), name: new Set<PortSet>(), range: new Set<PortSet>() };
    const entries = new Map<PortSet, number>();
    let at = 0;
    for (const pattern of patterns ?? [{ host: { kind: "any" }, ports: [] } satisfies TargetPattern]) {
      const set = this.#portSets.find(pattern.ports);
      let entry = entries.get(set);
      if (entry === undefined) entries.set(set, (entry = this.#chains.createEntry({ rule, ports: set })));
      ports[this.#enter(pattern.host, entry)].add(set);
      if (isStep(at++)) yield;
    }
    for (const [list, sets] of [
      [this.#open, ports.any],
      [this.#withName, ports.name],
      [this.#withRange, ports.range],
    ] as const) {
      const united = this.#portSets.unite(sets);
      if (united !== undefined) list.push({ rule, ports: united });
    }
  }

  *build(conditions: readonly ClientCondition[]): Steps<TargetIndex> {
    const lists: (RuleList | undefined)[] = [];
    const build = (entries: readonly RuleEntry[]) => buildRuleList(entries, conditions, this.#portSets);
    const use = (list: number): void => {
      if (list !== 0) lists[list] ??= build(this.#chains.read(list));
    };
    const { exact, below } = this.#names;
    for (const each of [exact, below])
      for (const [at, list] of each.entries()) {
        use(list);
        if (isStep(at)) yield;
      }
    const ranges = yield* this.#ranges.buildInSteps((known, entry) => this.#chains.append(known ?? 0, entry));
    yield;
    for (const list of ranges.values()) use(list);
    yield;
    return {
      open: build(this.#open),
      names: this.#names.build(),
      ranges,
      lists,
      withRange: build(this.#withRange),
      withName: build(this.#withName),
    };
  }

  #enter(host: TargetPattern["host"], entry: number): "any" | "name" | "range" {
    switch (host.kind) {
      case "any":
        return "any";
      case "name": {
        const { exact } = this.#names;
        const at = this.#names.enter(host.name);
        exact[at] = this.#chains.append(exact[at] as number, entry);
        return "name";
      }
      case "suffix": {
        const { below } = this.#names;
        const at = this.#names.enter(host.suffix);
        below[at] = this.#chains.append(below[at] as number, entry);
        return "name";
      }
      case "cidr":
        this.#ranges.add(host.cidr, entry);
        return "range";
      default:
        return host satisfies never;
    }
  }
}
