import type { Endpoint } from "../../address/endpoint.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Lookups } from "../../net/dns/resolver.ts";
import { type Authorization, type Decision, explainDenial } from "../policy/decision.ts";
import { evaluate, evaluateAddress } from "../policy/evaluate.ts";
import { WELL_KNOWN_PREFIX } from "../policy/nat64.ts";
import type { Query } from "../policy/policy.ts";
import type { RequestFacts } from "../policy/request-condition.ts";
import { isLocalhostName, lookUpName } from "../resolve/resolve-host.ts";
import { chooseRoute } from "../route/choose-route.ts";
import { resolvesNames } from "../route/route.ts";
import type { Finding } from "./candidate-list.ts";
import { type AccessRequest, type AuthorizeServices, Inquiry, withName } from "./inquiry.ts";

/**
 * Decides whether a client may connect to `target`. Gives a value when the rules
 * alone decide, and a promise when a function or DNS must answer first. The
 * closing of `client` ends the wait. `seen` is what rules can look at in a request
 * that is to be forwarded; undefined for a tunnel.
 *
 * The hosts file or the search list may complete the asked name to another one.
 * A rule that could match that name waits for it, and the first rule that matches
 * either name decides. A name that an upstream resolves is judged as asked,
 * because the upstream gets it so.
 *
 * When a rule with a range meets a name, every address of the name gets its own
 * decision, and refused addresses are dropped. The grant keeps the first one left
 * and those with the same route and use. When none is left, the most telling
 * refusal is the answer. A name that does not resolve is refused where the rule
 * could have denied it; a rule that only allows does not match it.
 */
export function authorize(
  request: AccessRequest,
  target: Endpoint,
  services: AuthorizeServices,
  client?: Conn,
  seen?: RequestFacts,
): Authorization | Promise<Authorization> {
  const { policy, nat64 = WELL_KNOWN_PREFIX } = request.runtime;
  const { client: from, user, parameters } = request;
  const now = policy.times === undefined ? 0 : (services.now ?? Date.now)();
  const query: Query = { client: from, user, parameters, target, now, request: seen };
  const { host } = target;
  if (host.kind === "name" && !isLocalhostName(host.text) && services.resolver.mayComplete(host))
    return authorizeCompleted(request, { ...query, mayBeCompleted: true }, services, client);
  const first = host.kind === "ip" ? evaluateAddress(policy, query, nat64) : evaluate(policy, query);
  if (first.kind === "decided") return first.authorization;
  return new Inquiry(request, query, services, client).run(first).then(conclude);
}

/** Decides about a name that the hosts file or the search list may complete. */
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
      target.host.kind === "name"
        ? lookUpName(target.host, services.resolver, request.client, request.trace)
        : undefined;
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

/** The name that a lookup found, when its answers are at hand. */
function findKnownName(lookups: Lookups): string | undefined {
  const [six, four] = [lookups[6], lookups[4]];
  if (six instanceof Promise || four instanceof Promise) return undefined;
  return six.ok ? six.name : four.ok ? four.name : undefined;
}

/** Whether the decision leads to an upstream that gets the name and resolves it itself. */
function resolvesElsewhere(request: AccessRequest, target: Endpoint, decision: Decision): boolean {
  if (decision.verdict !== "allow" || decision.via.length === 0) return false;
  const { runtime, scheme, user, parameters } = request;
  const route = chooseRoute({ runtime, target, scheme, user, parameters }, decision);
  return route.ok && resolvesNames(route.value);
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
