import type { Host } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import { awaitsName, meets } from "./evaluate.ts";
import { findTranslated, type Nat64Prefixes } from "./nat64.ts";
import type { CompiledRule, Policy, Query } from "./policy.ts";
import { meetsRequest, type RequestCondition } from "./request-condition.ts";
import type { PortSet } from "./port-set.ts";
import type { PortGroup, RuleList } from "./rule-list.ts";
import { isTime } from "./when.ts";

/** One condition of a rule that a query does not meet. */
export type Mismatch =
  | { readonly field: "from" | "users" | "hours" | "methods" | "paths" }
  /** `found` is undefined when the user name does not have the parameter, `wanted` when any value would do. */
  | {
      readonly field: "parameters";
      readonly parameter: string;
      readonly found: string | undefined;
      readonly wanted: readonly string[] | undefined;
    }
  /** `ports`: the rule has the host, but only with these ports, ascending; undefined when it does not have the host. */
  | { readonly field: "to"; readonly ports: readonly (readonly [from: number, to: number])[] | undefined }
  /** `until`: the end of the rule, in milliseconds since the epoch. */
  | { readonly field: "until"; readonly until: number };

/** Why one rule does or does not match a query. */
export interface RuleMatch {
  /** Index of the rule. */
  readonly rule: number;
  /** `needs_address`: only resolving the name tells. */
  readonly outcome: "matches" | "differs" | "needs_address";
  /** What differs, in the order of the fields; empty for the other outcomes. */
  readonly mismatches: readonly Mismatch[];
}

/**
 * Says of each rule by itself why it does or does not match. The first rule that does not differ
 * is the one at which `evaluate` stops, or `evaluateAddress` where `nat64` is given. Looks at every
 * target of the policy: for people who ask, not for connections.
 */
export function explainMatches(policy: Policy, query: Query, nat64: Nat64Prefixes = []): RuleMatch[] {
  const { targets } = policy;
  const { host } = query.target;
  const found = new Map<number, Set<PortSet>>();
  const waiting = new Map<number, Set<PortSet>>();
  collect(targets.open, found);
  collectName(policy, host, found);
  if (query.foundName !== undefined) collectName(policy, query.foundName, found);
  const address = host.kind === "ip" ? host.ip : query.address;
  collectAddress(policy, address, found);
  collectAddress(policy, address && findTranslated(address, nat64), found);
  if (address === undefined) collect(targets.withRange, waiting);
  if (awaitsName(query)) collect(targets.withName, waiting);
  return policy.rules.map((rule, index) => explainRule(rule, index, query, found.get(index), waiting.get(index)));
}

function explainRule(
  rule: CompiledRule,
  index: number,
  query: Query,
  found: ReadonlySet<PortSet> | undefined,
  waiting: ReadonlySet<PortSet> | undefined,
): RuleMatch {
  const asker = explainAsker(rule, query);
  const others = explainMoment(rule, query);
  const { port } = query.target;
  const hasTarget = hasPort(found, port);
  const awaitsTarget = !hasTarget && hasPort(waiting, port);
  if (asker.length + others.length === 0 && (hasTarget || awaitsTarget))
    return { rule: index, outcome: hasTarget ? "matches" : "needs_address", mismatches: [] };
  const target: Mismatch[] = hasTarget || awaitsTarget ? [] : [{ field: "to", ports: found && listPorts(found) }];
  return { rule: index, outcome: "differs", mismatches: [...asker, ...target, ...others] };
}

/** What a rule asks of the time and of the request. */
function explainMoment({ when = {}, request }: CompiledRule, query: Query): Mismatch[] {
  const mismatches: Mismatch[] = [];
  const { hours, until } = when;
  if (hours !== undefined && !isTime({ hours }, query.now)) mismatches.push({ field: "hours" });
  if (until !== undefined && !isTime({ until }, query.now)) mismatches.push({ field: "until", until });
  if (request === undefined) return mismatches;
  const { methods, paths } = request;
  const fails = (part: Pick<RequestCondition, "methods" | "paths">): boolean =>
    !meetsRequest({ ...part, denies: request.denies }, query.request);
  if (methods !== undefined && fails({ methods, paths: undefined })) mismatches.push({ field: "methods" });
  if (paths !== undefined && fails({ methods: undefined, paths })) mismatches.push({ field: "paths" });
  return mismatches;
}

function explainAsker({ from, users, parameters = [] }: CompiledRule, query: Query): Mismatch[] {
  const mismatches: Mismatch[] = [];
  if (from !== undefined && !from.has(query.client)) mismatches.push({ field: "from" });
  if (users !== undefined && (query.user === undefined || !users.has(query.user))) mismatches.push({ field: "users" });
  for (const condition of parameters) {
    if (meets(query.parameters, condition)) continue;
    const { name, values } = condition;
    mismatches.push({
      field: "parameters",
      parameter: name,
      found: query.parameters?.[name],
      wanted: values && [...values],
    });
  }
  return mismatches;
}

function collectName({ targets }: Policy, host: Host, into: Map<number, Set<PortSet>>): void {
  if (host.kind !== "name") return;
  for (const list of targets.names.find(host.text)) collect(targets.lists[list], into);
}

function collectAddress({ targets }: Policy, address: Ip | undefined, into: Map<number, Set<PortSet>>): void {
  if (address === undefined) return;
  for (let node = targets.ranges.find(address); node !== undefined; node = node.wider)
    collect(targets.lists[node.value], into);
}

/** Notes the rules of a list, whoever asks, and with which ports they are in it. */
function collect(list: RuleList | undefined, into: Map<number, Set<PortSet>>): void {
  if (list === undefined) return;
  note(list.forAll, into);
  for (const groups of list.byUser?.values() ?? []) note(groups, into);
  for (const byValue of list.byParameter?.values() ?? []) for (const groups of byValue.values()) note(groups, into);
  for (const groups of list.byClient?.groups ?? []) note(groups, into);
}

function note(groups: readonly PortGroup[], into: Map<number, Set<PortSet>>): void {
  for (const { ports, rules } of groups)
    for (const rule of rules) {
      const known = into.get(rule);
      if (known === undefined) into.set(rule, new Set([ports]));
      else known.add(ports);
    }
}

function hasPort(sets: ReadonlySet<PortSet> | undefined, port: number): boolean {
  for (const set of sets ?? []) if (set.has(port)) return true;
  return false;
}

function listPorts(sets: ReadonlySet<PortSet>): (readonly [number, number])[] {
  return [...sets].flatMap((set) => set.ranges()).toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
}
