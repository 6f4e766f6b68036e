import { parseIp, type Ip } from "../../src/address/ip.ts";
import type { UserParameters } from "../../src/protocol/user-parameters.ts";
import { parseTargetPattern } from "../../src/config/target-pattern.ts";
import { compileRules } from "../../src/proxy/policy/compile-rules.ts";
import type { Fallback, HookQuery, Policy, Query, Rule } from "../../src/proxy/policy/policy.ts";
import { makeEndpoint } from "./make-endpoint.ts";
import type { Via } from "../../src/proxy/policy/decision.ts";
import { ServerNames } from "../../src/proxy/policy/target-set.ts";
import type { TargetPattern } from "../../src/proxy/policy/target-index.ts";

export function makeIp(text: string): Ip {
  const ip = parseIp(text);
  if (ip === undefined) throw new Error(`${text} is not an address`);
  return ip;
}

/** Patterns as a configuration spells them: `*.example.org:443`, `10.0.0.0/8`. */
export function makePatterns(...texts: string[]): TargetPattern[] {
  return texts.map((text) => {
    const parsed = parseTargetPattern(text);
    if (!parsed.ok) throw new Error(`${text}: ${parsed.reason}`);
    return parsed.value;
  });
}

export function makeServerNames(...texts: string[]): ServerNames {
  return new ServerNames(texts, makePatterns(...texts));
}

export function denyRule(name: string, ...to: string[]): Rule {
  return { name, ...(to.length > 0 && { to: makePatterns(...to) }), verdict: { kind: "deny" } };
}

export interface AllowSettings {
  readonly to?: readonly string[];
  readonly allowPrivate?: boolean;
  readonly via?: Via | ((query: HookQuery) => Via | Promise<Via>);
  readonly sourceAddress?: string;
}

export function allowRule(name: string, settings: AllowSettings = {}): Rule {
  const { to, allowPrivate = false, via, sourceAddress } = settings;
  return {
    name,
    ...(to && { to: makePatterns(...to) }),
    verdict: { kind: "allow", allowPrivate, via, ...(sourceAddress !== undefined && { sourceAddress }) },
  };
}

/** `ask` may break its promise, as the functions of a configuration may. */
export function hookRule(name: string, ask: (query: HookQuery) => unknown): Rule {
  return { name, verdict: { kind: "hook", ask } };
}

/** Rules, and what holds when none matches: direct unless said otherwise. */
export function makePolicy(rules: readonly Rule[], fallback: Fallback = { kind: "allow", via: [] }): Policy {
  return compileRules(rules, fallback);
}

export interface QuerySettings {
  readonly client?: string;
  readonly user?: string;
  readonly parameters?: UserParameters;
  readonly address?: string;
  readonly foundName?: string;
  readonly mayBeCompleted?: boolean;
  readonly now?: number;
}

export function makeQuery(target: string, more: QuerySettings = {}): Query {
  return {
    client: makeIp(more.client ?? "203.0.113.7"),
    user: more.user,
    ...(more.parameters && { parameters: more.parameters }),
    target: makeEndpoint(target),
    now: more.now ?? 0,
    ...(more.address !== undefined && { address: makeIp(more.address) }),
    ...(more.foundName !== undefined && { foundName: { kind: "name", text: more.foundName } }),
    ...(more.mayBeCompleted !== undefined && { mayBeCompleted: more.mayBeCompleted }),
  };
}
