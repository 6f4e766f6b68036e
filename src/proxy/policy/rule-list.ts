import type { Cidr } from "../../address/cidr.ts";
import { type RangeIndex, RangeIndexBuilder } from "../../address/range-index.ts";
import type { PortSet, PortSetTable } from "./port-set.ts";

/** The conditions of a rule on the client that rules are found by. */
export interface ClientCondition {
  readonly from?: readonly Cidr[];
  readonly users?: ReadonlySet<string>;
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
 * The rules of one key, such as a name. Each rule is in exactly one part. The parts by user and by client
 * keep long lists of rules for single clients from being walked.
 */
export interface RuleList {
  readonly forAll: readonly PortGroup[];
  readonly byUser?: ReadonlyMap<string, readonly PortGroup[]>;
  readonly byClient?: { readonly ranges: RangeIndex; readonly groups: readonly (readonly PortGroup[])[] };
}

/** Up to so many rules with a condition are walked; more of them are found by their condition. */
const MAX_WALKED = 8;
/** A rule with more users, or more ranges in `from`, is not entered under each of them. */
const MAX_KEYS = 64;

/** Compiles the rules of one key, which are given in ascending order. */
export function buildRuleList(
  entries: readonly RuleEntry[],
  conditions: readonly ClientCondition[],
  portSets: PortSetTable,
): RuleList {
  const united = uniteRules(entries, portSets);
  const [restAfterUsers, byUser] = splitByUser(united, conditions);
  const [rest, byClient] = splitByClient(restAfterUsers, conditions);
  return { forAll: groupByPorts(rest), ...(byUser && { byUser }), ...(byClient && { byClient }) };
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
): [rest: readonly RuleEntry[], byUser?: RuleList["byUser"]] {
  const usersOf = ({ rule }: RuleEntry) => conditions[rule]?.users;
  const [rest, chosen] = choose(entries, (entry) => (usersOf(entry)?.size ?? Infinity) <= MAX_KEYS);
  if (chosen === undefined) return [rest];
  const byUser = new Map<string, RuleEntry[]>();
  for (const entry of chosen)
    for (const user of usersOf(entry) ?? []) {
      const known = byUser.get(user);
      if (known === undefined) byUser.set(user, [entry]);
      else known.push(entry);
    }
  return [rest, new Map(Array.from(byUser, ([user, list]) => [user, groupByPorts(list)]))];
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
