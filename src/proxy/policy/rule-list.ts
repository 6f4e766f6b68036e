import type { Cidr } from "../../address/cidr.ts";
import { type RangeIndex, RangeIndexBuilder } from "../../address/range-index.ts";
import type { PortSet, PortSetTable } from "./port-set.ts";

/** A parameter that the user name must have. */
export interface ParameterCondition {
  readonly name: string;
  /** The values that it may have, in lower case; undefined for any. */
  readonly values?: ReadonlySet<string>;
}

/** The conditions of a rule on the client that rules are found by. */
export interface ClientCondition {
  readonly from?: readonly Cidr[];
  readonly users?: ReadonlySet<string>;
  readonly parameters?: readonly ParameterCondition[];
}

/** One rule under one key: it matches there on some ports. */
export interface RuleEntry {
  readonly rule: number;
  readonly ports: PortSet;
}

/** Rules that match on the same ports, ascending. */
export interface PortGroup {
  readonly ports: PortSet;
  readonly rules: readonly number[];
}

/**
 * The rules of one key, such as a name. Each rule is in exactly one part. The parts by user, by parameter and
 * by client keep long lists of rules for single clients from being walked.
 */
export interface RuleList {
  readonly forAll: readonly PortGroup[];
  readonly byUser?: GroupsByText;
  /** By the name of a parameter and its value, in lower case. */
  readonly byParameter?: ReadonlyMap<string, GroupsByText>;
  readonly byClient?: { readonly ranges: RangeIndex; readonly groups: readonly (readonly PortGroup[])[] };
}

type GroupsByText = ReadonlyMap<string, readonly PortGroup[]>;

/** Up to so many rules with a condition are walked; more of them are found by their condition. */
const MAX_WALKED = 8;
/** A rule with more users, more values of a parameter, or more ranges in `from`, is not entered under each of them. */
const MAX_KEYS = 64;

/** Compiles the rules of one key, which are given in ascending order. */
export function buildRuleList(
  entries: readonly RuleEntry[],
  conditions: readonly ClientCondition[],
  portSets: PortSetTable,
): RuleList {
  const united = uniteRules(entries, portSets);
  const [restAfterUsers, byUser] = splitByUser(united, conditions);
  const [restAfterParameters, byParameter] = splitByParameter(restAfterUsers, conditions);
  const [rest, byClient] = splitByClient(restAfterParameters, conditions);
  return {
    forAll: groupByPorts(rest),
    ...(byUser && { byUser }),
    ...(byParameter && { byParameter }),
    ...(byClient && { byClient }),
  };
}

/** One entry for each rule. */
function uniteRules(entries: readonly RuleEntry[], portSets: PortSetTable): RuleEntry[] {
  const united: RuleEntry[] = [];
  for (let at = 0; at < entries.length;) {
    const { rule } = entries[at] as RuleEntry;
    const sets: PortSet[] = [];
    for (; entries[at]?.rule === rule; at++) sets.push((entries[at] as RuleEntry).ports);
    united.push({ rule, ports: portSets.unite(sets) as PortSet });
  }
  return united;
}

function groupByPorts(entries: readonly RuleEntry[]): PortGroup[] {
  const groups = new Map<PortSet, number[]>();
  for (const { rule, ports } of entries) {
    const rules = groups.get(ports);
    if (rules === undefined) groups.set(ports, [rule]);
    else rules.push(rule);
  }
  return Array.from(groups, ([ports, rules]) => ({ ports, rules }));
}

function splitByUser(
  entries: readonly RuleEntry[],
  conditions: readonly ClientCondition[],
): [rest: readonly RuleEntry[], byUser?: GroupsByText] {
  const usersOf = ({ rule }: RuleEntry) => conditions[rule]?.users;
  const [rest, chosen] = choose(entries, (entry) => (usersOf(entry)?.size ?? Infinity) <= MAX_KEYS);
  return chosen === undefined ? [rest] : [rest, groupByText(chosen, usersOf)];
}

/** A rule is found by the parameter that it takes the fewest values of. */
function splitByParameter(
  entries: readonly RuleEntry[],
  conditions: readonly ClientCondition[],
): [rest: readonly RuleEntry[], byParameter?: RuleList["byParameter"]] {
  const strictestOf = ({ rule }: RuleEntry) => findStrictest(conditions[rule]?.parameters ?? []);
  const [rest, chosen] = choose(entries, (entry) => countValues(strictestOf(entry)) <= MAX_KEYS);
  if (chosen === undefined) return [rest];
  const byName = Map.groupBy(chosen, (entry) => strictestOf(entry)?.name ?? "");
  const valuesOf = (entry: RuleEntry) => strictestOf(entry)?.values;
  return [rest, new Map(Array.from(byName, ([name, list]) => [name, groupByText(list, valuesOf)]))];
}

function findStrictest(conditions: readonly ParameterCondition[]): ParameterCondition | undefined {
  let strictest = conditions[0];
  for (const condition of conditions) if (countValues(condition) < countValues(strictest)) strictest = condition;
  return strictest;
}

function countValues(condition: ParameterCondition | undefined): number {
  return condition?.values?.size ?? Infinity;
}

/** The entries under each of their texts. */
function groupByText(
  entries: readonly RuleEntry[],
  textsOf: (entry: RuleEntry) => Iterable<string> | undefined,
): GroupsByText {
  const byText = new Map<string, RuleEntry[]>();
  for (const entry of entries)
    for (const text of textsOf(entry) ?? []) {
      const known = byText.get(text);
      if (known === undefined) byText.set(text, [entry]);
      else known.push(entry);
    }
  return new Map(Array.from(byText, ([text, list]) => [text, groupByPorts(list)]));
}

function splitByClient(
  entries: readonly RuleEntry[],
  conditions: readonly ClientCondition[],
): [rest: readonly RuleEntry[], byClient?: NonNullable<RuleList["byClient"]>] {
  const rangesOf = ({ rule }: RuleEntry) => conditions[rule]?.from;
  const [rest, chosen] = choose(entries, (entry) => (rangesOf(entry)?.length ?? Infinity) <= MAX_KEYS);
  if (chosen === undefined) return [rest];
  const lists: RuleEntry[][] = [];
  const builder = new RangeIndexBuilder();
  for (const [at, entry] of chosen.entries()) for (const range of rangesOf(entry) ?? []) builder.add(range, at);
  const ranges = builder.build((known, at) => {
    const list = known ?? lists.push([]) - 1;
    lists[list]?.push(chosen[at] as RuleEntry);
    return list;
  });
  return [rest, { ranges, groups: lists.map(groupByPorts) }];
}

/** Separates the entries that are found by a condition, when there are enough of them. */
function choose(
  entries: readonly RuleEntry[],
  fits: (entry: RuleEntry) => boolean,
): [rest: readonly RuleEntry[], chosen?: readonly RuleEntry[]] {
  if (entries.length <= MAX_WALKED) return [entries];
  const { rest = [], chosen = [] } = Object.groupBy(entries, (entry) => (fits(entry) ? "chosen" : "rest"));
  return chosen.length <= MAX_WALKED ? [entries] : [rest, chosen];
}

/**
 * Lists of entries that grow at their end, while names and ranges are collected. Lists with the same entries
 * are one list, and longer lists share the entries of shorter ones. 0 is the empty list.
 */
export class EntryChains {
  readonly #entries: RuleEntry[] = [];
  /** By list: the list before its last entry, and that entry. */
  readonly #before: number[] = [0];
  readonly #last: number[] = [-1];
  readonly #longer = new Map<number, number>();

  /** Makes an entry. Each rule makes each of its entries once. */
  createEntry(entry: RuleEntry): number {
    return this.#entries.push(entry) - 1;
  }

  append(list: number, entry: number): number {
    if (this.#last[list] === entry) return list;
    const key = list * 2 ** 26 + entry;
    let longer = this.#longer.get(key);
    if (longer === undefined) {
      longer = this.#before.push(list) - 1;
      this.#last.push(entry);
      this.#longer.set(key, longer);
    }
    return longer;
  }

  read(list: number): RuleEntry[] {
    const entries: RuleEntry[] = [];
    for (let at = list; at !== 0; at = this.#before[at] as number)
      entries.push(this.#entries[this.#last[at] as number] as RuleEntry);
    return entries.toReversed();
  }
}
