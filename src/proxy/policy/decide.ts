import { containsIp, isWithin } from "../../address/cidr.ts";
import type { Host } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import type {
  AllowDecision,
  Decision,
  HookQuery,
  HookVerdict,
  Policy,
  Query,
  Rule,
  TargetPattern,
  Via,
} from "./policy.ts";

/** Name that decisions carry when no rule matched. */
const DEFAULT_RULE = "default";

/** What the rules say about a query, or what has to be known before they can. `rule` is the index of the one that stopped. */
export type Evaluation =
  | { readonly kind: "decided"; readonly decision: Decision }
  /**
   * The target is a name that has to be resolved first: the rule has a range in `to`, or a name that
   * the search list could lead to. Ask again from this rule with `address` and `foundName`.
   */
  | { readonly kind: "needs_address"; readonly rule: number }
  /** The rule is a function. Without a verdict of it, go on from the next rule. */
  | {
      readonly kind: "ask";
      readonly rule: number;
      readonly ask: (query: HookQuery) => HookVerdict | Promise<HookVerdict>;
    }
  /** The rule allows, and a function says which way. */
  | {
      readonly kind: "ask_via";
      readonly rule: number;
      readonly ask: (query: HookQuery) => Via | Promise<Via>;
      readonly decision: AllowDecision;
    };

type AllowVerdict = Extract<Rule["verdict"], { kind: "allow" }>;

/** Walks the rules from index `from` on; the first match decides. Nobody is asked and no time passes. */
export function evaluate(policy: Policy, query: Query, from = 0): Evaluation {
  const { rules } = policy;
  const address = query.target.host.kind === "ip" ? query.target.host.ip : query.address;
  for (let index = from; index < rules.length; index++) {
    const rule = rules[index] as Rule;
    if (!matchesClient(rule, query)) continue;
    const match = matchTarget(rule, query, address);
    if (match === "no") continue;
    if (match === "unknown") return { kind: "needs_address", rule: index };
    return judge(policy, rule, index, query, address);
  }
  return (recallEvaluations(policy)[2 * rules.length] ??= { kind: "decided", decision: fallBack(policy) });
}

/** Gives the decision of a rule that is a function, once it has spoken. */
export function applyVerdict(policy: Policy, rule: number, verdict: Exclude<HookVerdict, undefined>): Decision {
  const name = policy.rules[rule]?.name ?? DEFAULT_RULE;
  if ("deny" in verdict) return { verdict: "deny", rule: name, detail: "denied_by_rule" };
  return {
    verdict: "allow",
    rule: name,
    allowPrivate: verdict.allowPrivate === true,
    via: verdict.via ?? findDefaultVia(policy),
  };
}

/** What the function of a rule may know. */
export function describeQuery(query: Query): HookQuery {
  return { client: query.client.text, user: query.user, host: query.target.host.text, port: query.target.port };
}

function judge(policy: Policy, rule: Rule, index: number, query: Query, address: Ip | undefined): Evaluation {
  const { verdict, name } = rule;
  if (verdict.kind === "deny") {
    return { kind: "decided", decision: { verdict: "deny", rule: name, detail: "denied_by_rule" } };
  }
  if (verdict.kind === "hook") return { kind: "ask", rule: index, ask: verdict.ask };
  const exact = isExact(rule, query, address);
  return (recallEvaluations(policy)[2 * index + Number(exact)] ??= grant(policy, name, verdict, index, exact));
}

/**
 * What was found so far: it is the same for all that a rule lets through, and
 * every tunnel keeps its decision. Two for each rule, the second one for the
 * very address that it names; then what holds when none matches.
 */
const evaluations = new WeakMap<Policy, (Evaluation | undefined)[]>();

function recallEvaluations(policy: Policy): (Evaluation | undefined)[] {
  let known = evaluations.get(policy);
  if (known === undefined) {
    known = [];
    evaluations.set(policy, known);
  }
  return known;
}

function grant(policy: Policy, name: string, verdict: AllowVerdict, index: number, exact: boolean): Evaluation {
  const decision = allow(policy, name, verdict, exact);
  return typeof verdict.via === "function"
    ? { kind: "ask_via", rule: index, ask: verdict.via, decision }
    : { kind: "decided", decision };
}

function allow(policy: Policy, name: string, verdict: AllowVerdict, exact: boolean): AllowDecision {
  const { via, allowPrivate, sourceAddress, tunnelHttp, inside, proxyProtocol } = verdict;
  return {
    verdict: "allow",
    rule: name,
    allowPrivate,
    via: typeof via === "object" ? via : findDefaultVia(policy),
    ...(exact && { exactAddress: true }),
    ...(sourceAddress !== undefined && { sourceAddress }),
    ...(tunnelHttp !== undefined && { tunnelHttp }),
    ...(inside !== undefined && { inside }),
    ...(proxyProtocol !== undefined && { proxyProtocol }),
  };
}

function fallBack({ fallback }: Policy): Decision {
  return fallback.kind === "deny"
    ? { verdict: "deny", rule: DEFAULT_RULE, detail: "denied_by_default" }
    : { verdict: "allow", rule: DEFAULT_RULE, allowPrivate: false, via: fallback.via };
}

/** Where a rule leads that allows and does not say which way; directly, when the default is to deny. */
function findDefaultVia({ fallback }: Policy): Via {
  return fallback.kind === "allow" ? fallback.via : [];
}

function matchesClient(rule: Rule, query: Query): boolean {
  if (rule.from !== undefined && !isWithin(query.client, rule.from)) return false;
  return rule.users === undefined || (query.user !== undefined && rule.users.has(query.user));
}

/** `unknown` when no pattern matches for certain, and one could match if the name was resolved. */
function matchTarget(rule: Rule, query: Query, address: Ip | undefined): "yes" | "no" | "unknown" {
  if (rule.to === undefined) return "yes";
  let unknown = false;
  for (const pattern of rule.to) {
    if (!matchesPort(pattern.ports, query.target.port)) continue;
    if (matchesHost(pattern, query, address)) return "yes";
    if (pattern.host.kind === "cidr" ? address === undefined : awaitsName(query)) unknown = true;
  }
  return unknown ? "unknown" : "no";
}

/** Whether resolving may find another name than the one that was asked for. */
function awaitsName({ target, foundName, mayBeCompleted }: Query): boolean {
  return mayBeCompleted === true && foundName === undefined && target.host.kind === "name";
}

function matchesHost({ host }: TargetPattern, query: Query, address: Ip | undefined): boolean {
  switch (host.kind) {
    case "any":
      return true;
    case "name":
      return isName(query.target.host, host.name) || isName(query.foundName, host.name);
    case "suffix":
      return isNameBelow(query.target.host, host.suffix) || isNameBelow(query.foundName, host.suffix);
    case "cidr":
      return address !== undefined && containsIp(host.cidr, address);
    default:
      return host satisfies never;
  }
}

function isName(host: Host | undefined, name: string): boolean {
  return host?.kind === "name" && host.text === name;
}

function isNameBelow(host: Host | undefined, suffix: string): boolean {
  return host?.kind === "name" && isBelow(host.text, suffix);
}

/** Whether a name is below `suffix`, and not that itself. Both are canonical. */
export function isBelow(name: string, suffix: string): boolean {
  return name.length > suffix.length + 1 && name.endsWith(suffix) && name[name.length - suffix.length - 1] === ".";
}

function matchesPort(ports: TargetPattern["ports"], port: number): boolean {
  if (ports.length === 0) return true;
  for (const [from, to] of ports) if (port >= from && port <= to) return true;
  return false;
}

/** Whether the rule opens private addresses, and a pattern of it is this one address and no other. */
function isExact(rule: Rule, query: Query, address: Ip | undefined): boolean {
  if (rule.verdict.kind !== "allow" || !rule.verdict.allowPrivate) return false;
  if (rule.to === undefined || address === undefined) return false;
  for (const { host, ports } of rule.to) {
    if (host.kind !== "cidr" || host.cidr.prefix !== address.bytes.length * 8) continue;
    if (containsIp(host.cidr, address) && matchesPort(ports, query.target.port)) return true;
  }
  return false;
}
