import type { Endpoint } from "../../address/endpoint.ts";
import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Lookups, Resolver } from "../../net/dns/resolver.ts";
import { chooseRoute } from "../route/choose-route.ts";
import type { KnownUpstreams } from "../route/route.ts";
import type { OwnListeners } from "../policy/guard.ts";
import { type Finding, Inquiry, withName } from "./inquiry.ts";
import { type Nat64Prefixes, WELL_KNOWN_PREFIX } from "../policy/nat64.ts";
import type { Policy, Query } from "../policy/policy.ts";
import { isLocalhostName, lookUpName } from "../resolve/resolve-host.ts";
import type { HookReport } from "../hook/call-hook.ts";
import { type Authorization, type Decision, explainDenial } from "../policy/decision.ts";
import { evaluate, evaluateAddress } from "../policy/evaluate.ts";

/** Who asks, and the snapshot that decides. */
export interface AccessRequest {
  readonly client: Ip;
  readonly user: string | undefined;
  readonly runtime: Partial<KnownUpstreams> & {
    readonly policy: Policy;
    readonly timeouts: { readonly connectMs: number; readonly hookMs: number };
    readonly nat64?: Nat64Prefixes;
  };
  /** Of a URI that is to be forwarded. */
  readonly scheme?: "http" | "https" | undefined;
}

/** Whom a decision may take to be asked. */
export interface AuthorizeServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  /** Tells the operator of a function of the configuration that failed. */
  reportHook(report: HookReport): void;
}

/**
 * Decides whether a client may connect to `target`. Gives a value when the rules
 * alone decide, and a promise when a function or DNS must answer first. The
 * closing of `client` ends the wait.
 *
 * Where the hosts file or the search list may make another name of the one that
 * was asked for, a rule that could match that name waits for it: the first rule
 * that matches either name decides. A name that an upstream is going to resolve
 * is judged as it was asked for, for that is what the upstream is given.
 *
 * Where a rule with a range meets a name, every address of the name gets a
 * decision of its own, and is dropped where that decision does not let it be
 * dialled. Those that are left and lead the same way as the first of them are
 * kept; when none is, the most telling refusal is the answer. A name that does
 * not resolve is refused where the rule could have denied it, and is not matched
 * by a rule that only allows.
 */
export function authorize(
  request: AccessRequest,
  target: Endpoint,
  services: AuthorizeServices,
  client?: Conn,
): Authorization | Promise<Authorization> {
  const { policy, nat64 = WELL_KNOWN_PREFIX } = request.runtime;
  const query: Query = { client: request.client, user: request.user, target };
  const { host } = target;
  if (host.kind === "name" && !isLocalhostName(host.text) && services.resolver.mayComplete(host))
    return authorizeCompleted(request, { ...query, mayBeCompleted: true }, services, client);
  const first = host.kind === "ip" ? evaluateAddress(policy, query, nat64) : evaluate(policy, query);
  if (first.kind === "decided") return first.authorization;
  return new Inquiry(request, query, services, client).run(first).then(conclude);
}

/** Decides about a name that may turn out to be another one. */
function authorizeCompleted(
  request: AccessRequest,
  query: Query,
  services: AuthorizeServices,
  client: Conn | undefined,
): Authorization | Promise<Authorization> {
  const { policy } = request.runtime;
  const { target } = query;
  const first = evaluate(policy, query);
  if (first.kind === "decided") return first.authorization;
  if (first.kind === "needs_address") {
    const asked: Query = { ...query, mayBeCompleted: false };
    const asAsked = evaluate(policy, asked);
    if (asAsked.kind === "decided" && resolvesElsewhere(request, target, asAsked.decision))
      return asAsked.authorization;
    const lookups =
      target.host.kind === "name" ? lookUpName(target.host, services.resolver, request.client) : undefined;
    const name = lookups && findKnownName(lookups);
    const found = name === undefined ? undefined : evaluate(policy, withName(asked, name), first.rule);
    if (lookups !== undefined && name !== undefined && found?.kind === "decided") {
      const { decision } = found;
      return conclude({ decision, lookups, ...(name !== target.host.text && { foundName: name }) });
    }
    lookups?.release();
  }
  return new Inquiry(request, query, services, client).run(first).then(conclude);
}

/** The name that a lookup has found, when it is known at once. */
function findKnownName(lookups: Lookups): string | undefined {
  const [six, four] = [lookups[6], lookups[4]];
  if (six instanceof Promise || four instanceof Promise) return undefined;
  return six.ok ? six.name : four.ok ? four.name : undefined;
}

/** Whether the decision leads to an upstream that is given the name, and resolves it itself. */
function resolvesElsewhere(request: AccessRequest, target: Endpoint, decision: Decision): boolean {
  if (decision.verdict !== "allow" || decision.via.length === 0) return false;
  const { upstreams = new Map<string, never>(), environment } = request.runtime;
  const runtime = { upstreams, ...(environment && { environment }) };
  const route = chooseRoute({ runtime, target, scheme: request.scheme }, decision);
  const last = route.ok ? route.value.hops.at(-1) : undefined;
  return last !== undefined && last.kind !== "socks5";
}

function conclude({ decision, failure, ...found }: Finding): Authorization {
  if (failure === undefined && decision === undefined)
    throw new Error("An inquiry ended with neither a decision nor a failure");
  if (failure === undefined && decision?.verdict === "allow") return { ok: true, value: { decision, ...found } };
  found.lookups?.release();
  const { foundName } = found;
  return {
    ok: false,
    failure: failure ?? explainDenial(decision),
    decision,
    ...(foundName !== undefined && { foundName }),
  };
}
