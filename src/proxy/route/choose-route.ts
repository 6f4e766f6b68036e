import type { Endpoint } from "../../address/endpoint.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import { resolveLogin } from "./hop-login.ts";
import type { PoolPlan } from "./pool-plan.ts";
import type { Hop } from "./hop.ts";
import { isPooled, type KnownUpstreams, type PooledRoute, type Route } from "./route.ts";
import type { NamedRequester } from "./user-template.ts";
import type { AllowDecision, Via } from "../policy/decision.ts";

/** The route that the conventional environment variables set. */
const ENVIRONMENT = "environment";

const DIRECT: Route = { name: "direct", hops: [] };

/** What is to be reached for whom, and the snapshot that knows the upstreams. */
export interface RouteRequest extends NamedRequester {
  readonly runtime: KnownUpstreams;
  readonly target: Endpoint | undefined;
  /** Of a URI that is to be forwarded. */
  readonly scheme?: "http" | "https" | undefined;
  /** What PAC files have chosen for this request, by the name of the upstream. */
  readonly chosen?: ReadonlyMap<string, Hop | PoolPlan | "direct"> | undefined;
}

/**
 * Finds the hops and pools that `via` of a decision names. Fails when it names an
 * unknown upstream, or one that the request has no login for. Members of pools are
 * looked at when they are chosen.
 */
export function chooseRoute(request: RouteRequest, decision: AllowDecision): Outcome<Route | PooledRoute> {
  const route = traceRoute(request, decision);
  if (!route.ok) return route;
  for (const step of isPooled(route.value) ? route.value.steps : route.value.hops) {
    if (step.kind === "pool" || typeof step.credentials?.user !== "object") continue;
    const login = resolveLogin(step, request);
    if (!login.ok) return login;
  }
  return route;
}

/** The same for nobody in particular: whether there is a login is not looked at. */
export function traceRoute(request: RouteRequest, { via, sourceAddress }: AllowDecision): Outcome<Route | PooledRoute> {
  const steps = findSteps(via, request);
  if (typeof steps === "string") return fail("no_upstream", { note: `no upstream is named ${steps}` });
  if (!areHops(steps))
    return succeed({ name: nameSteps(steps), steps, ...(sourceAddress !== undefined && { sourceAddress }) });
  return succeed(makeRoute(steps, sourceAddress));
}

function areHops(steps: readonly (Hop | PoolPlan)[]): steps is readonly Hop[] {
  for (const step of steps) if (step.kind === "pool") return false;
  return true;
}

function nameSteps(steps: readonly (Hop | PoolPlan)[]): string {
  const [only] = steps;
  return steps.length === 1 && only !== undefined ? only.name : steps.map(({ name }) => name).join(" > ");
}

/** Makes the route through `hops`. `sourceAddress` is the one of a rule. */
export function makeRoute(hops: readonly Hop[], sourceAddress: string | undefined): Route {
  const from = sourceAddress ?? hops[0]?.sourceAddress;
  const named = hops.length === 0 ? DIRECT : { name: nameSteps(hops), hops };
  return from === undefined ? named : { ...named, sourceAddress: from };
}

/** The hops and pools of `via`, or the name that is not known. */
function findSteps(via: Via, request: RouteRequest): readonly (Hop | PoolPlan)[] | string {
  if (via.length === 0) return DIRECT.hops;
  const steps: (Hop | PoolPlan)[] = [];
  for (const name of via) {
    const step = request.runtime.upstreams.get(name) ?? request.chosen?.get(name);
    if (step === "direct") continue;
    if (step !== undefined) {
      steps.push(step);
      continue;
    }
    // A word and not a name: only alone.
    if (via.length > 1) return name;
    if (name === ENVIRONMENT) return findEnvironmentHops(request);
    if (name !== DIRECT.name) return name;
  }
  return steps;
}

/**
 * Without the variables, or for a target that `no_proxy` exempts, the route is
 * direct, as in every program that reads them. `http_proxy` is for plain HTTP.
 */
function findEnvironmentHops({ runtime: { environment }, scheme, target }: RouteRequest): readonly Hop[] {
  const hop = scheme === "http" ? environment?.forward : environment?.tunnel;
  if (environment === undefined || hop === undefined) return [];
  return target !== undefined && environment.bypasses(target.host.text, target.port) ? [] : [hop];
}
