import { AddressSet } from "../../address/address-set.ts";
import type { AllowDecision, CompiledRule, Decision, Evaluation, Fallback, Policy, Rule, Via } from "./policy.ts";
import { TargetIndexBuilder } from "./target-index.ts";

/** Name that decisions carry when no rule matched. */
export const DEFAULT_RULE = "default";

/** Compiles rules so that a decision costs the same however many names and ranges they have. */
export function compileRules(rules: readonly Rule[], fallback: Fallback): Policy {
  const targets = new TargetIndexBuilder();
  for (const [index, { to }] of rules.entries()) targets.add(index, to);
  return {
    rules: rules.map((rule, index) => compileRule(rule, index, fallback)),
    targets: targets.build(rules),
    fallback,
    unmatched: { kind: "decided", decision: fallBack(fallback) },
  };
}

/** Where a rule leads that allows and does not say which way; directly, when the default is to deny. */
export function findDefaultVia(fallback: Fallback): Via {
  return fallback.kind === "allow" ? fallback.via : [];
}

function compileRule({ name, from, users, verdict }: Rule, index: number, fallback: Fallback): CompiledRule {
  const matched = match(name, verdict, index, fallback, false);
  return {
    name,
    ...(from && { from: new AddressSet(from) }),
    ...(users && { users }),
    verdict,
    matched,
    matchedExactly:
      verdict.kind === "allow" && verdict.allowPrivate ? match(name, verdict, index, fallback, true) : matched,
  };
}

function match(name: string, verdict: Rule["verdict"], index: number, fallback: Fallback, exact: boolean): Evaluation {
  switch (verdict.kind) {
    case "deny":
      return { kind: "decided", rule: index, decision: { verdict: "deny", rule: name, detail: "denied_by_rule" } };
    case "hook":
      return { kind: "ask", rule: index, ask: verdict.ask };
    case "allow": {
      const decision = allow(name, verdict, fallback, exact);
      return typeof verdict.via === "function"
        ? { kind: "ask_via", rule: index, ask: verdict.via, decision }
        : { kind: "decided", rule: index, decision };
    }
    default:
      return verdict satisfies never;
  }
}

type AllowVerdict = Extract<Rule["verdict"], { kind: "allow" }>;

function allow(name: string, verdict: AllowVerdict, fallback: Fallback, exact: boolean): AllowDecision {
  const { kind, via, ...grant } = verdict;
  return {
    verdict: kind,
    rule: name,
    ...grant,
    via: typeof via === "object" ? via : findDefaultVia(fallback),
    ...(exact && { exactAddress: true }),
  };
}

function fallBack(fallback: Fallback): Decision {
  return fallback.kind === "deny"
    ? { verdict: "deny", rule: DEFAULT_RULE, detail: "denied_by_default" }
    : { verdict: "allow", rule: DEFAULT_RULE, allowPrivate: false, via: fallback.via };
}
