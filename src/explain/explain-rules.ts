import { type Endpoint, formatEndpoint } from "../address/endpoint.ts";
import type { Ip } from "../address/ip.ts";
import { explainTerms } from "../config/rule-fields.ts";
import { DEFAULT_RULE } from "../proxy/policy/compile-rules.ts";
import type { Reported, Via } from "../proxy/policy/decision.ts";
import { explainMatches, type Mismatch, type RuleMatch } from "../proxy/policy/explain-match.ts";
import type { Nat64Prefixes } from "../proxy/policy/nat64.ts";
import type { CompiledRule, Fallback, Policy, Query } from "../proxy/policy/policy.ts";
import type { Fact } from "./explain-fact.ts";

/** What is known of a decision when its rules are explained. */
export interface DecidedQuery {
  readonly policy: Policy;
  readonly nat64: Nat64Prefixes;
  readonly query: Query;
  /** All addresses of the name, when rules had to look at them; empty when they are not known. */
  readonly addresses: readonly Ip[];
  /** Name of the rule that decided; undefined when none did. */
  readonly decidedBy: string | undefined;
}

const ONLY_REPORTED = "deny, only reported";

/** Says which rule would have refused what a report lets through. */
export function explainReported({ rules }: Policy, { rule, detail }: Reported): string {
  const at = rules.findIndex(({ name }) => name === rule);
  return `would be refused by ${at < 0 ? rule : `rule ${at + 1} (${rule})`}, ${detail}; let through and recorded`;
}

/** Rules that are shown without `--all`, beside the one that decides. */
const MAX_RULES = 20;
/** Values that a line lists at most. */
const MAX_VALUES = 10;

/** Whether a rule before the one that decides looks at the addresses of the name, so that only they tell why. */
export function dependsOnAddress({ policy, nat64, query, decidedBy }: Omit<DecidedQuery, "addresses">): boolean {
  const end = findDecider(policy, decidedBy) ?? Infinity;
  return explainMatches(policy, query, nat64).some(({ rule, outcome }) => rule <= end && outcome === "needs_address");
}

/** Says for every rule why it did or did not match: for the first ones and the one that decides, or for `all`. */
export function explainRules(decided: DecidedQuery, all: boolean): Fact[] {
  const { policy, nat64, query, addresses, decidedBy } = decided;
  const { rules, fallback } = policy;
  if (rules.length === 0) return [];
  const decider = findDecider(policy, decidedBy);
  const queries = addresses.length === 0 ? [query] : addresses.map((address) => ({ ...query, address }));
  const matches = queries.map((each) => explainMatches(policy, each, nat64));
  const shown = rules.flatMap((rule, index) => {
    if (!all && index >= MAX_RULES && index !== decider) return [];
    const ofRule = matches.flatMap((list) => list[index] ?? []);
    return { at: index, ...explainRule(rule, ofRule, decided, index, decider) };
  });
  const leftOut = rules.length - shown.length;
  const byDefault = decidedBy === DEFAULT_RULE && decider === undefined;
  const lines: string[] = [];
  for (const [position, { at, text }] of shown.entries()) {
    const before = shown[position - 1]?.at ?? -1;
    if (at > before + 1) lines.push(tellLeftOut(at - before - 1));
    lines.push(`${at + 1}. ${text}`);
  }
  const last = shown.at(-1)?.at ?? -1;
  if (last < rules.length - 1) lines.push(tellLeftOut(rules.length - 1 - last));
  lines.push(`default (${describeFallback(fallback)}): ${byDefault ? "decides" : "not reached"}`);
  const more = { rules: shown.map(({ json }) => json), ...(leftOut > 0 && { rules_left_out: leftOut }) };
  return lines.map((value, at) => (at === 0 ? { name: "rules", value, more } : { name: "", value }));
}

function tellLeftOut(count: number): string {
  return `${count} more ${count === 1 ? "rule" : "rules"}: --all shows all of them`;
}

/** The index of the rule that decided; undefined when the default did, or none. */
function findDecider({ rules }: Policy, name: string | undefined): number | undefined {
  const index = rules.findIndex((rule) => rule.name === name);
  return index < 0 ? undefined : index;
}

interface Explained {
  readonly text: string;
  readonly json: Readonly<Record<string, unknown>>;
}

function explainRule(
  rule: CompiledRule,
  matches: readonly RuleMatch[],
  { query, addresses, decidedBy }: DecidedQuery,
  index: number,
  decider: number | undefined,
): Explained {
  const { name } = rule;
  const terms = describeTerms(rule);
  const verdict = describeVerdict(rule);
  const decides = index === decider;
  const late = decider !== undefined && index > decider;
  const [first] = matches;
  const matching = addresses.filter((_, at) => matches[at]?.outcome === "matches");
  const isMixed = matching.length > 0 && matching.length < addresses.length;
  const outcome = decides ? "decides" : (matches.find((each) => each.outcome === "matches") ?? first)?.outcome;
  const why = ((): string => {
    if (decides && rule.verdict.kind === "hook" && rule.verdict.webhook)
      return "decides: its webhook is asked, unless it was asked the same a short while ago";
    if (decides) return isMixed ? `decides, for ${listValues(matching.map(({ text }) => text))}` : "decides";
    if (outcome === "matches") {
      if (late) return "matches, but an earlier rule decides";
      if (rule.reports && rule.verdict.kind === "deny")
        return isMixed
          ? `would deny ${listValues(matching.map(({ text }) => text))}, which is only reported`
          : "would deny, which is only reported";
      if (isMixed) return `matches only for ${listValues(matching.map(({ text }) => text))}`;
      if (rule.verdict.kind === "hook")
        return decidedBy === undefined
          ? `matches: its ${rule.verdict.webhook ? "webhook" : "function"} is asked`
          : "matches, but its function passes on";
      return "matches";
    }
    if (outcome === "needs_address") {
      const host = formatHost(query.target);
      if (late) return `depends on the addresses of ${host}: an earlier rule decides without them`;
      return decidedBy === undefined
        ? `needs the addresses of ${host}, which are not known`
        : `needs the addresses of ${host}, which does not resolve`;
    }
    return listValues(
      (first?.mismatches ?? []).map((each) => describeMismatch(each, query)),
      "; ",
    );
  })();
  const isOpen = outcome === "needs_address" && (late || decidedBy === undefined);
  const answer = isOpen ? "?" : outcome === "differs" || outcome === "needs_address" ? "no" : "yes";
  const judgesLater = decides && rule.verdict.kind === "allow" && rule.verdict.inside !== undefined;
  const later = judgesLater ? "; then judges the first bytes inside the tunnel" : "";
  return {
    text: `${answer}: ${name} (${terms === undefined ? verdict : `${verdict}; ${terms}`}): ${why}${later}`,
    json: {
      rule: index + 1,
      name,
      verdict,
      ...(terms !== undefined && { allows: terms }),
      outcome,
      why: `${why}${later}`,
      mismatches: outcome === "differs" ? first?.mismatches : [],
      ...(addresses.length > 0 && { addresses: matching.map(({ text }) => text) }),
    },
  };
}

function describeMismatch(mismatch: Mismatch, { client, user, target, now }: Query): string {
  switch (mismatch.field) {
    case "from":
      return `"from" does not have ${client.text}`;
    case "users":
      return user === undefined ? '"users" needs a user, and there is none' : `"users" does not have ${user}`;
    case "parameters": {
      const { parameter, found, wanted } = mismatch;
      if (found === undefined) return `the user name has no parameter ${parameter}`;
      return `the parameter ${parameter} is ${found}, not ${listValues(wanted ?? [])}`;
    }
    case "to": {
      const { ports } = mismatch;
      if (ports === undefined) return `"to" does not have ${formatHost(target)}`;
      const texts = ports.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`));
      return `"to" has ${formatHost(target)} only with port ${listValues(texts)}`;
    }
    case "hours":
      return `"hours" does not have ${formatTime(now)}`;
    case "until":
      return `"until" ended the rule at ${formatTime(mismatch.until)}`;
    case "methods":
    case "paths":
      return `"${mismatch.field}" looks at forwarded requests, and this is a tunnel`;
    default:
      return mismatch satisfies never;
  }
}

/** The first values, and how many there are more. */
function listValues(values: readonly string[], separator = ", "): string {
  const more = values.length - MAX_VALUES;
  return `${values.slice(0, MAX_VALUES).join(separator)}${more > 0 ? ` and ${more} more` : ""}`;
}

function formatTime(time: number): string {
  return new Date(time).toISOString();
}

function formatHost({ host, port }: Endpoint): string {
  return host.kind === "ip" ? host.text : formatEndpoint({ host, port }).replace(/:\d+$/, "");
}

function describeVerdict({ verdict, reports }: CompiledRule): string {
  switch (verdict.kind) {
    case "deny":
      return reports ? ONLY_REPORTED : "deny";
    case "hook":
      return verdict.webhook ? "a webhook" : "a function";
    case "allow":
      if (verdict.via === undefined) return verdict.ask ? "ask" : "allow";
      return typeof verdict.via === "function" ? "via a function" : describeVia(verdict.via);
    default:
      return verdict satisfies never;
  }
}

function describeFallback(fallback: Fallback): string {
  if (fallback.kind === "allow") return describeVia(fallback.via);
  if (fallback.reports) return ONLY_REPORTED;
  return fallback.kind === "ask" ? `ask, ${describeVia(fallback.via)}` : "deny";
}

function describeVia(via: Via): string {
  return via.length === 0 ? "direct" : `via ${via.join(", ")}`;
}

/** What the rule allows beside its way. */
function describeTerms({ matched }: CompiledRule): string | undefined {
  if (matched.kind !== "decided" && matched.kind !== "ask_via") return undefined;
  return matched.decision.verdict === "allow" ? explainTerms(matched.decision) : undefined;
}
