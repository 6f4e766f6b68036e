import { formatEndpoint } from "../../address/endpoint.ts";
import type { Host } from "../../address/host.ts";
import type { Ip } from "../../address/ip.ts";
import type { CompiledConfig } from "../../config/compile.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import {
  knowLookups,
  type Lookup,
  type Lookups,
  type NamedHost,
  NOT_FOUND,
  type Resolver,
} from "../../net/dns/resolver.ts";
import { authorize } from "../../proxy/decide/authorize.ts";
import { type Failure, type FailureDetail, succeed } from "../../proxy/failure.ts";
import type { HookReport } from "../../proxy/hook/call-hook.ts";
import { asksPac } from "../../proxy/pac/choose-ways.ts";
import type { Grant } from "../../proxy/policy/decision.ts";
import { explainMatches } from "../../proxy/policy/explain-match.ts";
import { guardAddress } from "../../proxy/policy/guard.ts";
import { WELL_KNOWN_PREFIX } from "../../proxy/policy/nat64.ts";
import type { Policy, Query } from "../../proxy/policy/policy.ts";
import { HookReporter } from "../../proxy/record/hook-reporter.ts";
import { isLocalhostName, resolveHost } from "../../proxy/resolve/resolve-host.ts";
import { chooseRoute } from "../../proxy/route/choose-route.ts";
import { resolvesNames } from "../../proxy/route/route.ts";
import { formatFact } from "../../explain/explain-fact.ts";
import { dependsOnAddress, explainRules } from "../../explain/explain-rules.ts";
import { listMissing, listOwnAddresses } from "../../explain/explain-target.ts";
import type { Expectation, PolicyCase } from "./read-case.ts";

/** Milliseconds for resolving the target of a case. */
const RESOLVE_MS = 10_000;

/** What a configuration decides about a case. */
export interface Found {
  readonly verdict: Expectation["verdict"];
  readonly rule?: string;
  readonly via?: readonly string[];
  readonly word?: FailureDetail;
  readonly note?: string;
  /** Why each rule did or did not match, in lines. */
  readonly why: readonly string[];
}

/** What is decided, or why nobody can tell. */
export type Decided = Found | string;

/**
 * Decides a case with the same functions as the proxy. Without `resolver` no name is looked up: a case
 * whose rules need an address must have it, and a name that no rule looks up is taken for a public one.
 */
export async function decideCase(
  compiled: CompiledConfig,
  asked: PolicyCase,
  resolver: Resolver | undefined,
): Promise<Decided> {
  const { runtime } = compiled;
  const { client, target } = asked;
  if (runtime.clients && !runtime.clients.has(client)) return refuse({ detail: "client_not_admitted" });
  const { required, names, exempt } = runtime.authenticator;
  const exempted = asked.user === undefined ? exempt?.find(client) : undefined;
  if (required && asked.user === undefined && exempted === undefined) return refuse({ detail: "credentials_required" });
  const read = asked.user === undefined ? undefined : names?.read(asked.user);
  if (read?.ok === false) return refuse({ detail: "parameters_malformed", note: read.note });
  const { user, parameters } = read ?? { user: asked.user ?? exempted?.user, parameters: undefined };
  const known = new CaseResolver(asked, resolver);
  const own = listOwnAddresses(compiled);
  const notes = listMissing(compiled);
  const hooks = new HookReporter((message) => notes.push(message), { secrets: compiled.secrets });
  const now = asked.at ?? Date.now();
  const services = { resolver: known, own, reportHook: (report: HookReport) => hooks.report(report), now: () => now };
  const authorized = await authorize({ client, user, parameters, runtime }, target, services);
  const nat64 = runtime.nat64 ?? WELL_KNOWN_PREFIX;
  const { decision, foundName } = authorized.ok ? authorized.value : authorized;
  const query: Query = {
    client,
    user,
    parameters,
    target,
    now,
    ...(foundName !== undefined && { foundName: { kind: "name" as const, text: foundName } }),
  };
  if (known.missed) return tellMissing(runtime.policy, query);
  const decided = { policy: runtime.policy, nat64, query, decidedBy: decision?.rule };
  const resolved = dependsOnAddress(decided) ? await findAddresses(asked, {}, known) : undefined;
  const addresses = resolved?.ok === true ? resolved.value : [];
  const why = [...notes, ...explainRules({ ...decided, addresses }, false).map((fact) => formatFact(fact).slice(9))];
  const deny = (failure: Failure): Found => ({
    ...refuse(failure),
    ...(decision && { rule: decision.rule }),
    why,
  });
  if (!authorized.ok) return deny(authorized.failure);
  const grant = authorized.value;
  grant.lookups?.release();
  // Nobody answers here.
  if (grant.decision.ask !== undefined) return deny({ detail: "approval_missing", note: "an operator would be asked" });
  const route = asksPac(runtime, grant.decision.via)
    ? undefined
    : chooseRoute({ runtime, target, user, parameters }, grant.decision);
  if (route?.ok === false) return deny(route.failure);
  // An upstream resolves the name itself, unless rules have looked at its addresses.
  const isLeft = grant.addresses === undefined && route !== undefined && resolvesNames(route.value);
  const judged = isLeft || !known.knows(target.host) ? undefined : await findAddresses(asked, grant, known);
  if (judged?.ok === false) return deny(judged.failure);
  const failures = (judged?.value ?? []).map((ip) =>
    guardAddress(ip, target.port, grant.decisions?.get(ip.text) ?? grant.decision, { own, nat64 }),
  );
  const [first] = failures;
  if (first !== undefined && failures.every((failure) => failure !== undefined)) return deny(first);
  const { via } = grant.decision;
  const way = via.length === 0 ? ["direct"] : via;
  const dialled = judged?.value[failures.indexOf(undefined)];
  const { reported } = (dialled && grant.decisions?.get(dialled.text)) ?? grant.decision;
  return reported === undefined
    ? { verdict: "allow", rule: grant.decision.rule, via: way, why }
    : { verdict: "report", rule: reported.rule, word: reported.detail, via: way, why };
}

async function findAddresses(
  { target, client }: PolicyCase,
  { addresses }: Pick<Grant, "addresses">,
  resolver: Resolver,
) {
  if (addresses !== undefined) return succeed(addresses);
  const limit = new TimeLimit(RESOLVE_MS);
  const resolved = await resolveHost(target.host, resolver, limit, client);
  limit.release();
  return resolved;
}

function refuse({ detail, note }: Failure): Found {
  return { verdict: "deny", word: detail, ...(note !== undefined && { note }), why: [] };
}

function tellMissing(policy: Policy, query: Query): string {
  const { rule } = explainMatches(policy, query).find(({ outcome }) => outcome === "needs_address") ?? {};
  const name = formatEndpoint(query.target).replace(/:\d+$/, "");
  const needing = rule === undefined ? "a rule" : `rule ${policy.rules[rule]?.name}`;
  return `${needing} needs the addresses of ${name}. Add "address" to the case, or run with --resolve`;
}

/** Answers with the addresses of a case, and asks DNS only where it may. */
class CaseResolver implements Resolver {
  /** A name was looked up that nobody may be asked for. */
  missed = false;
  readonly #asked: PolicyCase;
  readonly #system: Resolver | undefined;

  constructor(asked: PolicyCase, system: Resolver | undefined) {
    this.#asked = asked;
    this.#system = system;
  }

  /** Whether `find` can tell the addresses of a host. */
  knows(host: Host): boolean {
    if (host.kind === "ip" || isLocalhostName(host.text) || this.#system !== undefined) return true;
    return this.#asked.addresses.length > 0;
  }

  find(host: NamedHost, client?: Ip): Lookups {
    const { addresses } = this.#asked;
    if (addresses.length > 0) return knowLookups(answer(host, addresses, 4), answer(host, addresses, 6));
    if (this.#system !== undefined) return this.#system.find(host, client);
    this.missed = true;
    return knowLookups(answer(host, [], 4), answer(host, [], 6));
  }

  mayComplete(host: NamedHost): boolean {
    return this.#asked.addresses.length === 0 && this.#system?.mayComplete(host) === true;
  }
}

function answer({ text: name }: NamedHost, addresses: readonly Ip[], family: 4 | 6): Lookup {
  const wanted = addresses.filter((ip) => ip.family === family);
  return wanted.length > 0
    ? { ok: true, name, addresses: wanted }
    : { ok: false, detail: "dns_error", note: NOT_FOUND };
}
