import { RuleWebhook } from "../proxy/auth/rule-webhook.ts";
import { WebhookFault } from "../proxy/hook/webhook.ts";
import type { HookQuery, HookVerdict, Rule } from "../proxy/policy/policy.ts";
import type { Materials } from "./materials.ts";
import { isRecord } from "./plain-data.ts";
import type { Problem } from "./problem.ts";
import { readDuration } from "./quantity.ts";
import type { WrittenRule } from "./rule-field.ts";
import { compileWebhook, findWebhookWarnings, type WebhookSettings, webhookSchema } from "./webhook-schema.ts";

export const ruleWebhook = webhookSchema
  .describe(
    'Ask this webhook whether the rule allows or denies what it matches. It gets `{ "rule", "user", "parameters", "client", "host", "port", "method", "path" }` as JSON (method and path of forwarded requests only, without the query) and answers with status 200 and `{ "allow": true }` or `{ "allow": false, "reason": "…" }`, with `"for": 60` for the seconds that the answer holds, at most `cache` (default `10s`). Anything else, and no answer within `timeout`, refuses (`hook_failed`). It opens no special-purpose address. At most 64 questions are asked at once, shared fairly among clients.',
  )
  .optional();

const DEFAULT_CACHE = "10s";
const DEFAULT_TIMEOUT_MS = 5000;

/** What a webhook that decides cannot stand beside. */
export function findRuleWebhookConflicts(rule: WrittenRule, allowing: readonly string[]): Problem[] {
  const others = allowing.filter((name) => name !== "webhook" && rule[name] !== undefined && rule[name] !== false);
  return others.map((name) => ({
    path: [],
    message: `The webhook says whether the rule allows. Leave out "webhook" or ${JSON.stringify(name)}.`,
  }));
}

/** The verdict of a rule that asks a webhook. The schema has accepted its settings. */
export function compileRuleWebhook(settings: WebhookSettings, rule: string, materials: Materials): Rule["verdict"] {
  const means = { path: [], timeoutMs: DEFAULT_TIMEOUT_MS, materials };
  const { webhook } = compileWebhook(settings, means);
  const asked = new RuleWebhook(webhook, readDuration(settings.cache ?? DEFAULT_CACHE));
  const ask = async (query: HookQuery): Promise<HookVerdict | WebhookFault> => {
    const answer = await asked.ask({ rule, ...query });
    if (answer instanceof WebhookFault) return answer;
    if (answer.allow) return { allow: true };
    return { deny: true, ...(answer.reason !== undefined && { reason: answer.reason }) };
  };
  return { kind: "hook", ask, webhook: { longestMs: asked.longestMs } };
}

/** Problems that only files and variables show. */
export function findRuleWebhookProblems(rules: unknown, materials: Materials): Problem[] {
  return listWebhooks(rules).flatMap(([at, settings]) => {
    const path = ["rules", at, "webhook"];
    return [...compileWebhook(settings, { path, timeoutMs: DEFAULT_TIMEOUT_MS, materials }).problems];
  });
}

export function findRuleWebhookWarnings(rules: unknown): Problem[] {
  return listWebhooks(rules).flatMap(([at, settings]) =>
    findWebhookWarnings(settings, ["rules", at, "webhook"], "read what is asked, and answer"),
  );
}

function listWebhooks(rules: unknown): [number, WebhookSettings][] {
  if (!Array.isArray(rules)) return [];
  return rules.flatMap((rule: unknown, at) =>
    isRecord(rule) && isRecord(rule["webhook"])
      ? [[at, rule["webhook"] as WebhookSettings] as [number, WebhookSettings]]
      : [],
  );
}
