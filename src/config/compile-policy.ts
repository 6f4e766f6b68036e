import { AddressSet } from "../address/address-set.ts";
import { type Cidr, parseCidr } from "../address/cidr.ts";
import { compileRules } from "../proxy/policy/compile-rules.ts";
import type { Fallback, HookQuery, HookVerdict, Policy, Rule, TargetPattern, Via } from "../proxy/policy/policy.ts";
import { compileInside } from "./compile-inside.ts";
import type { DecideTarget, RuleSettings, Way } from "./rule-schema.ts";
import type { Config } from "./schema.ts";
import { parseTargetPattern } from "./target-pattern.ts";

/** Compiles rules and default. The schema has accepted their values; `rules` are the parsed ones. */
export function compilePolicy(config: Config, rules = readRules(config.rules)): Policy {
  return compileRules(rules, compileFallback(config));
}

/** Compiles a set of addresses. The schema has accepted its ranges. */
export function compileAddressSet(texts: readonly string[]): AddressSet {
  return new AddressSet(readCidrs(texts));
}

function readCidrs(texts: readonly string[]): Cidr[] {
  return texts.map((text) => {
    const parsed = parseCidr(text);
    if (!parsed.ok) throw new Error(`The range ${text} is unchecked`);
    return parsed.cidr;
  });
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

/** Parses rules. The schema has accepted their values. */
export function readRules(rules: Config["rules"]): Rule[] {
  if (typeof rules === "function") return [readHook("rules", rules)];
  return rules.map((rule, at) =>
    typeof rule === "function" ? readHook(`rule-${at + 1}`, rule) : readRule(rule, `rule-${at + 1}`),
  );
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

function readRule(settings: RuleSettings, fallbackName: string): Rule {
  const { from, users, to } = settings;
  return {
    name: settings.name ?? fallbackName,
    ...(from && { from: readCidrs(from) }),
    ...(users && { users: new Set(users) }),
    ...(to && { to: { [Symbol.iterator]: () => readTargets(to) } }),
    verdict: compileVerdict(settings),
  };
}

/** One target at a time: a list may have a million of them. */
function* readTargets(texts: readonly string[]): Iterator<TargetPattern> {
  for (const text of texts) {
    const parsed = parseTargetPattern(text);
    if (!parsed.ok) throw new Error(`The target ${text} is unchecked`);
    yield parsed.pattern;
  }
}

function compileVerdict(settings: RuleSettings): Rule["verdict"] {
  if (settings.deny === true) return { kind: "deny" };
  const inside = compileInside(settings);
  return {
    kind: "allow",
    allowPrivate: settings.allowPrivate === true,
    via: compileVia(settings.via),
    ...(settings.sourceAddress !== undefined && {
      sourceAddress: settings.sourceAddress,
    }),
    ...(settings.tunnelHttp === true && { tunnelHttp: true }),
    ...(inside && { inside }),
    ...(settings.proxyProtocol !== undefined && { proxyProtocol: settings.proxyProtocol }),
  };
}

function compileVia(via: RuleSettings["via"]): Via | ((query: HookQuery) => Promise<Via>) | undefined {
  if (via === undefined) return undefined;
  return typeof via === "function" ? async (query) => compileWay(await via(query)) : compileWay(via);
}

/** The chain that a way means. A function may answer anything: the route refuses what names no upstream. */
function compileWay(way: Way): Via {
  if (typeof way === "string") return way === "direct" ? [] : [way];
  return way.length === 1 && way[0] === "direct" ? [] : way;
}

function compileFallback(config: Config): Fallback {
  if (config.default === "deny") return { kind: "deny" };
  if (config.default !== undefined) return { kind: "allow", via: compileWay(config.default) };
  if (config.upstream === undefined) return { kind: "allow", via: [] };
  return {
    kind: "allow",
    via: [config.upstream === "environment" ? "environment" : "upstream"],
  };
}
