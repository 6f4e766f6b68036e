import { runAtOnce, type Steps } from "../../steps.ts";
import { AddressSet } from "../../address/address-set.ts";
import type { CompiledRule, Evaluation, Fallback, Policy, Rule } from "./policy.ts";
import { compileRequestCondition } from "./request-condition.ts";
import { TargetIndexBuilder } from "./target-index.ts";
import { Timetable } from "./when.ts";
import { type AllowDecision, type Decision, letThrough, settle, type Via } from "./decision.ts";

/** Name that decisions carry when no rule matched. */
export const DEFAULT_RULE = "default";

/** Compiles rules so that a decision costs the same however many names and ranges they have. */
export function compileRules(rules: readonly Rule[], fallback: Fallback): Policy {
  return runAtOnce(compileRulesInSteps(rules, fallback));
}

/** `compileRules`, in steps. */
export function* compileRulesInSteps(rules: readonly Rule[], fallback: Fallback): Steps<Policy> {
  const targets = new TargetIndexBuilder();
  for (const [index, { to }] of rules.entries()) yield* targets.add(index, to);
  const compiled: CompiledRule[] = [];
  for (const [index, rule] of rules.entries()) {
    compiled.push(compileRule(rule, index, fallback));
    yield;
  }
  const times = rules.flatMap(({ when }) => when ?? []);
  return {
    rules: compiled,
    targets: yield* targets.build(rules),
    times: times.length === 0 ? undefined : new Timetable(times),
    fallback,
    unmatched: decide(fallBack(fallback)),
    asks:
      (fallback.kind === "ask" && !fallback.reports) ||
      rules.some(({ verdict, reports }) => verdict.kind === "allow" && verdict.ask === true && !reports),
    looksAtRequests: compiled.some(({ request, verdict }) => request !== undefined || verdict.kind === "hook"),
  };
}

/** The route of a rule that allows and names no route: the default one, or direct when the default is to deny. */
export function findDefaultVia(fallback: Fallback): Via {
  return fallback.kind === "deny" ? [] : fallback.via;
}

/** The evaluation that ends with a decision, of the rule at `index`. */
function decide(decision: Decision, index?: number): Evaluation {
  const authorization = settle(decision);
  return { kind: "decided", decision, authorization, ...(index !== undefined && { rule: index }) };
}

function compileRule(rule: Rule, index: number, fallback: Fallback): CompiledRule {
  const { name, from, users, parameters, methods, paths, when, reports, verdict } = rule;
  const request = compileRequestCondition(methods, paths, verdict.kind !== "allow");
  const allowable = verdict.kind === "hook" ? compileRequestCondition(methods, paths, false) : undefined;
  const matched = match(rule, index, fallback, false);
  return {
    name,
    ...(from && { from: new AddressSet(from) }),
    ...(users && { users }),
    ...(parameters && { parameters }),
    ...(request && { request }),
    ...(allowable && { allowable }),
    ...(when && { when }),
    ...(reports && { reports }),
    verdict,
    matched,
    matchedExactly: verdict.kind === "allow" && verdict.allowPrivate ? match(rule, index, fallback, true) : matched,
  };
}

function match({ name, verdict, reports }: Rule, index: number, fallback: Fallback, exact: boolean): Evaluation {
  switch (verdict.kind) {
    case "deny": {
      const detail = verdict.lacksList ? "list_unavailable" : "denied_by_rule";
      if (reports) return { kind: "report", rule: index, reported: { rule: name, detail } };
      return decide({ verdict: "deny", rule: name, detail }, index);
    }
    case "hook":
      return {
        kind: "ask",
        rule: index,
        ask: verdict.ask,
        ...(verdict.webhook && { longestMs: verdict.webhook.longestMs }),
      };
    case "allow": {
      const { ask, ...rest } = allow(name, verdict, fallback, exact);
      const reported = { rule: name, detail: "approval_missing" } as const;
      const decision = ask && reports ? letThrough(rest, reported) : { ...rest, ...(ask && { ask }) };
      return typeof verdict.via === "function"
        ? { kind: "ask_via", rule: index, ask: verdict.via, decision }
        : decide(decision, index);
    }
    default:
      return verdict satisfies never;
  }
}

type AllowVerdict = Extract<Rule["verdict"], { kind: "allow" }>;

function allow(name: string, verdict: AllowVerdict, fallback: Fallback, exact: boolean): AllowDecision {
  const { kind, via, ...terms } = verdict;
  return {
    verdict: kind,
    rule: name,
    ...terms,
    via: typeof via === "object" ? via : findDefaultVia(fallback),
    ...(exact && { exactAddress: true }),
  };
}

function fallBack(fallback: Fallback): Decision {
  const allowed = { verdict: "allow", rule: DEFAULT_RULE, allowPrivate: false, via: findDefaultVia(fallback) } as const;
  switch (fallback.kind) {
    case "allow":
      return allowed;
    case "ask":
      return fallback.reports
        ? letThrough(allowed, { rule: DEFAULT_RULE, detail: "approval_missing" })
        : { ...allowed, ask: true };
    case "deny": {
      const detail = "denied_by_default";
      return fallback.reports
        ? letThrough(allowed, { rule: DEFAULT_RULE, detail })
        : { verdict: "deny", rule: DEFAULT_RULE, detail };
    }
    default:
      return fallback satisfies never;
  }
}
