import type { RangeNode } from "../../address/range-index.ts";
import { type Host, hostFromIp } from "../../address/host.ts";
import { findTranslated, type Nat64Prefixes } from "./nat64.ts";
import { DEFAULT_RULE, findDefaultVia } from "./compile-rules.ts";
import type { CompiledRule, Evaluation, HookQuery, HookVerdict, Policy, Query } from "./policy.ts";
import { meetsRequest } from "./request-condition.ts";
import type { ParameterCondition, PortGroup, RuleList } from "./rule-list.ts";
import type { Decision } from "./decision.ts";
import { isTime } from "./when.ts";
import { NO_PARAMETERS } from "../../protocol/user-parameters.ts";

/** Finds the first rule from index `from` on that matches, and its result. Asks nothing and takes no time. */
export function evaluate(policy: Policy, query: Query, from = 0): Evaluation {
  const { rules, targets } = policy;
  const { host } = query.target;
  const search = new Search(rules, query, from, rules.length);
  search.look(targets.open);
  lookForName(policy, host, search);
  if (query.foundName !== undefined) lookForName(policy, query.foundName, search);
  const address = host.kind === "ip" ? host.ip : query.address;
  const range = address && targets.ranges.find(address);
  for (let node = range; node !== undefined; node = node.wider) search.look(targets.lists[node.value]);
  const match = search.first;
  if (address === undefined) search.look(targets.withRange);
  if (awaitsName(query)) search.look(targets.withName);
  if (search.first < match) return { kind: "needs_address", rule: search.first };
  const rule = rules[match];
  if (rule === undefined) return policy.unmatched;
  if (rule.matched === rule.matchedExactly) return rule.matched;
  return address && range?.prefix === address.bytes.length * 8 && namesAddress(policy, query, match, range)
    ? rule.matchedExactly
    : rule.matched;
}

/**
 * Walks the rules as `evaluate` does. An address behind a translator is also the
 * IPv4 address inside: the first rule that matches either decides, so that no
 * other spelling of an address evades a range.
 */
export function evaluateAddress(policy: Policy, query: Query, nat64: Nat64Prefixes, from = 0): Evaluation {
  const { host, port } = query.target;
  const address = host.kind === "ip" ? host.ip : query.address;
  const inside = address && findTranslated(address, nat64);
  const outer = evaluate(policy, query, from);
  if (inside === undefined) return outer;
  const inner = evaluate(
    policy,
    host.kind === "ip" ? { ...query, target: { host: hostFromIp(inside), port } } : { ...query, address: inside },
    from,
  );
  return (inner.rule ?? Infinity) < (outer.rule ?? Infinity) ? inner : outer;
}

/** Gives the decision that follows from the verdict of a rule's function. */
export function applyVerdict(policy: Policy, rule: number, verdict: Exclude<HookVerdict, undefined>): Decision {
  const name = policy.rules[rule]?.name ?? DEFAULT_RULE;
  if ("deny" in verdict) {
    const { reason } = verdict;
    return { verdict: "deny", rule: name, detail: "denied_by_rule", ...(reason !== undefined && { reason }) };
  }
  return {
    verdict: "allow",
    rule: name,
    allowPrivate: verdict.allowPrivate === true,
    via: verdict.via ?? findDefaultVia(policy.fallback),
  };
}

const UNSEEN = { method: undefined, path: undefined };

/** The facts that a rule's function gets. */
export function describeQuery(query: Query): HookQuery {
  const { client, user, parameters = NO_PARAMETERS, target, request } = query;
  const { method, path } = typeof request === "object" ? request : UNSEEN;
  return { client: client.text, user, parameters, host: target.host.text, port: target.port, method, path };
}

/** The first matching rule of several lists. */
class Search {
  readonly #rules: readonly CompiledRule[];
  readonly #query: Query;
  readonly #from: number;
  /** The first rule found so far, or where the search ends. */
  first: number;

  constructor(rules: readonly CompiledRule[], query: Query, from: number, end: number) {
    this.#rules = rules;
    this.#query = query;
    this.#from = from;
    this.first = end;
  }

  look(list: RuleList | undefined): void {
    if (list === undefined) return;
    const { client, user, parameters } = this.#query;
    this.#walk(list.forAll);
    const { byUser, byParameter, byClient } = list;
    if (byUser !== undefined && user !== undefined) this.#walk(byUser.get(user));
    if (byParameter !== undefined && parameters !== undefined)
      for (const [name, byValue] of byParameter) {
        const value = parameters[name];
        if (value !== undefined) this.#walk(byValue.get(value.toLowerCase()));
      }
    if (byClient === undefined) return;
    for (let node = byClient.ranges.find(client); node !== undefined; node = node.wider)
      this.#walk(byClient.groups[node.value]);
  }

  #walk(groups: readonly PortGroup[] | undefined): void {
    if (groups === undefined) return;
    for (const { ports, rules } of groups) {
      if ((rules[0] as number) >= this.first || !ports.has(this.#query.target.port)) continue;
      for (let at = this.#from === 0 ? 0 : findFrom(rules, this.#from); at < rules.length; at++) {
        const rule = rules[at] as number;
        if (rule >= this.first) break;
        if (matchesClient(this.#rules[rule] as CompiledRule, this.#query)) this.first = rule;
      }
    }
  }
}

/** Where in an ascending list the first number is that is not below `from`. */
function findFrom(rules: readonly number[], from: number): number {
  let low = 0;
  let high = rules.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((rules[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

function lookForName({ targets }: Policy, host: Host, search: Search): void {
  if (host.kind !== "name") return;
  for (const list of targets.names.find(host.text)) search.look(targets.lists[list]);
}

/** Whether resolving may find another name than the one that was asked for. */
export function awaitsName({ target, foundName, mayBeCompleted }: Query): boolean {
  return mayBeCompleted === true && foundName === undefined && target.host.kind === "name";
}

function matchesClient(rule: CompiledRule, query: Query): boolean {
  if (rule.from !== undefined && !rule.from.has(query.client)) return false;
  if (rule.users !== undefined && (query.user === undefined || !rule.users.has(query.user))) return false;
  if (rule.when !== undefined && !isTime(rule.when, query.now)) return false;
  const { parameters, request } = rule;
  if (parameters?.every((condition) => meets(query.parameters, condition)) === false) return false;
  return request === undefined || meetsRequest(request, query.request);
}

/** Values are compared without regard to case: who sells exits takes `de` and `DE` alike. */
export function meets(parameters: Query["parameters"], { name, values }: ParameterCondition): boolean {
  const value = parameters?.[name];
  return value !== undefined && (values === undefined || values.has(value.toLowerCase()));
}

/** Whether the rule has a pattern of `range`, which is the address of the query and no other. */
function namesAddress({ rules, targets }: Policy, query: Query, rule: number, range: RangeNode): boolean {
  const search = new Search(rules, query, rule, rule + 1);
  search.look(targets.lists[range.value]);
  return search.first === rule;
}
