import * as z from "zod";

import type { HookQuery } from "../proxy/policy/policy.ts";
import { findOrderConflicts } from "./ask-rule.ts";
import { either, hook, settings } from "./fields.ts";
import { MALFORMED, type Parts } from "./parts.ts";
import { type Problem, quoteNamed, quoteValue } from "./problem.ts";
import { namedSecrets, type References, secretTexts, serverReferences } from "./references.ts";
import type { KnownNames, WrittenRule } from "./rule-field.ts";
import { ruleFieldList, type ruleFields } from "./rule-fields.ts";
import { findRuleWebhookConflicts } from "./rule-webhook-schema.ts";
import type { Way } from "./way-schema.ts";

/** What a rule that is a function answers; undefined passes on to the next rule. */
export type RuleVerdict = undefined | { deny: true } | { allow: true; allowPrivate?: boolean; via?: Way };

/** A rule that is a function. Throwing, or taking longer than `timeouts.hook`, denies. */
export type DecideTarget = (query: HookQuery) => RuleVerdict | Promise<RuleVerdict>;

type Fields = typeof ruleFields;

const rule = settings(
  Object.fromEntries(ruleFieldList.map(([name, { schema }]) => [name, schema])) as {
    [Name in keyof Fields]: Fields[Name]["schema"];
  },
);

const decideTarget = hook<DecideTarget>("DecideTarget", "a rule, or a function");

/** Files of a rule are lists, but for those of its secrets. */
export const rulesReferences: References = {
  texts: { file: "list" },
  parts: {
    request: { texts: secretTexts, parts: { set: namedSecrets, replace: namedSecrets } },
    webhook: serverReferences,
  },
};

export const rulesSchema = either("a list of rules, or one function", [
  // An empty list is valid: it is left when the last rule goes.
  z.array(either("a rule, or a function", [rule, decideTarget])),
  decideTarget,
])
  .describe(
    "Who may reach which target, and by which route. The first rule that matches decides. A rule, or the whole list, may be a function.",
  )
  .default([]);

export type RuleSettings = z.output<typeof rule>;

/** Fields of rules that contradict each other, or name what the configuration does not have. */
export function findRuleConflicts(rules: Parts<z.output<typeof rulesSchema>>, known: KnownNames): Problem[] {
  if (rules === MALFORMED || typeof rules === "function") return [];
  const names = new Set<string>();
  const found = rules.flatMap((written, at) => {
    if (written === MALFORMED || typeof written === "function") return [];
    const name = typeof written.name === "string" ? written.name : `rule-${at + 1}`;
    const isNew = !names.has(name);
    names.add(name);
    const message = `Found the ${quoteNamed("rule", name)} twice. Give each rule a name of its own.`;
    const problems = [
      ...(isNew ? [] : [{ path: [], message }]),
      ...findVerdictConflicts(written),
      ...findFieldConflicts(written, known),
    ];
    return problems.map((problem) => ({ ...problem, path: ["rules", at, ...problem.path] }));
  });
  return [...found, ...findOrderConflicts(rules)];
}

function findVerdictConflicts(written: WrittenRule): Problem[] {
  const allowing = ruleFieldList
    .filter(([name, { allows }]) => allows && written[name] !== undefined && written[name] !== false)
    .map(([name]) => name);
  if (written["deny"] === true)
    return allowing.map((name) => ({
      path: [name],
      message: `The rule denies. Leave out "deny" or ${quoteValue(name)}.`,
    }));
  if (written["webhook"] !== undefined)
    return findRuleWebhookConflicts(written, allowing).map((problem) => ({ ...problem, path: ["webhook"] }));
  const message = 'The rule does nothing. Set "deny", "allow", "ask", "allowPrivate", "webhook" or "via".';
  return allowing.length > 0 ? [] : [{ path: [], message }];
}

function findFieldConflicts(written: WrittenRule, known: KnownNames): Problem[] {
  return ruleFieldList.flatMap(([name, { findConflicts }]) =>
    written[name] === undefined || findConflicts === undefined
      ? []
      : findConflicts(written[name], written, known).map((problem) => ({ ...problem, path: [name, ...problem.path] })),
  );
}
