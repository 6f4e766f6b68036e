import { AddressSet } from "../address/address-set.ts";
import { compileRulesInSteps } from "../proxy/policy/compile-rules.ts";
import type { Fallback, HookVerdict, Policy, Rule } from "../proxy/policy/policy.ts";
import type { Steps } from "../steps.ts";
import { readCidrs } from "./fields.ts";
import { createReader } from "./list-reader.ts";
import type { Lists } from "./lists-schema.ts";
import type { Materials } from "./materials.ts";
import type { CompileMeans } from "./rule-field.ts";
import { compileFields } from "./rule-fields.ts";
import { compileRuleWebhook } from "./rule-webhook-schema.ts";
import { applyMode } from "./report-mode.ts";
import type { DecideTarget, RuleSettings } from "./rule-schema.ts";
import type { Config } from "./schema.ts";
import { compileWay } from "./way-schema.ts";

/** Compiles rules and default, in steps. The schema has accepted their values; `rules` are the read ones. */
export function compilePolicy(config: Config, rules: readonly Rule[]): Steps<Policy> {
  return compileRulesInSteps(rules, compileFallback(config));
}

/** Compiles a set of addresses. The schema has accepted its ranges. */
export function compileAddressSet(texts: readonly string[]): AddressSet {
  return new AddressSet(readCidrs(texts));
}

/** Whether a rule or the default names the way of the environment variables. */
export function asksEnvironment(config: Config): boolean {
  const ways = Array.isArray(config.rules)
    ? config.rules.map((rule) => (typeof rule === "function" ? undefined : rule.via))
    : [];
  return [config.upstream, config.default, ...ways].some(
    (way) => way === "environment" || (Array.isArray(way) && way[0] === "environment"),
  );
}

/** Parses rules, with the texts of their lists by key. The schema has accepted their values. */
export function readRules(
  config: Pick<Config, "rules" | "lists" | "mode">,
  materials: Materials,
  texts: ReadonlyMap<string, string> = new Map(),
): Rule[] {
  return applyMode(readWritten(config, materials, texts), config.mode);
}

function readWritten(
  { rules, lists }: Pick<Config, "rules" | "lists">,
  materials: Materials,
  texts: ReadonlyMap<string, string>,
): Rule[] {
  if (typeof rules === "function") return [readHook("rules", rules)];
  return rules.map((rule, at) =>
    typeof rule === "function"
      ? readHook(nameRule({}, at), rule)
      : readRule(rule, nameRule(rule, at), {
          lists,
          texts,
          materials,
        }),
  );
}

/** The name of a rule: its own, or one by its position. */
export function nameRule({ name }: { readonly name?: string | undefined }, at: number): string {
  return name ?? `rule-${at + 1}`;
}

function readHook(name: string, ask: DecideTarget): Rule {
  return { name, verdict: { kind: "hook", ask: async (query) => readVerdict(await ask(query)) } };
}

/** Rewrites the ways of an author into chains. What is ill-typed passes through, for the policy to refuse. */
function readVerdict(verdict: Awaited<ReturnType<DecideTarget>>): HookVerdict {
  if (typeof verdict !== "object" || verdict === null || "deny" in verdict) return verdict;
  const { via, ...rest } = verdict;
  return via === undefined ? rest : { ...rest, via: compileWay(via) };
}

/** What a rule is read with: the lists, and their texts by key. */
interface ReadMeans extends Pick<CompileMeans, "materials"> {
  readonly lists: Lists;
  readonly texts: ReadonlyMap<string, string>;
}

function readRule(settings: RuleSettings, name: string, { lists, texts, materials }: ReadMeans): Rule {
  const lacking: { list?: true } = {};
  const denies = settings.deny === true || settings.webhook !== undefined;
  const read = createReader(lists, texts, denies, () => (lacking.list = true));
  const { match: clients, when, terms, inside, reports } = compileFields(settings, { read, materials });
  const match = Object.keys(when).length > 0 ? { ...clients, when } : clients;
  if (settings.deny === true) {
    const verdict = { kind: "deny", ...(lacking.list && { lacksList: true as const }) } as const;
    return { name, ...match, ...(reports && { reports }), verdict };
  }
  if (settings.webhook !== undefined)
    return {
      name,
      ...match,
      ...(reports && { reports }),
      verdict: compileRuleWebhook(settings.webhook, name, materials),
    };
  const demand = Object.keys(inside).length > 0 && {
    inside: { protocols: onlyTls, ...inside, ...(reports && { reports }) },
  };
  const asksNobody = reports && settings.ask === true && { reports };
  return {
    name,
    ...match,
    ...asksNobody,
    verdict: { kind: "allow", allowPrivate: false, via: undefined, ...terms, ...demand },
  };
}

/** What may be spoken inside a tunnel when a rule looks at TLS and names no protocols. */
const onlyTls: ReadonlySet<"tls"> = new Set(["tls"] as const);

function compileFallback(config: Config): Fallback {
  const { default: chosen, upstream, mode } = config;
  const usual = upstream === undefined ? [] : [upstream === "environment" ? upstream : "upstream"];
  const reports = mode === "report" && { reports: true as const };
  if (chosen === "deny") return { kind: "deny", ...reports };
  if (chosen === "ask") return { kind: "ask", via: usual, ...reports };
  return { kind: "allow", via: chosen === undefined ? usual : compileWay(chosen) };
}
