import type { Endpoint } from "../../address/endpoint.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import { resolveLogin } from "./hop-login.ts";
import type { Hop, KnownUpstreams, Route } from "./route.ts";
import type { NamedRequester } from "./user-template.ts";
import type { AllowDecision, Via } from "../policy/decision.ts";

/** The route that the conventional environment variables set. */
const ENVIRONMENT = "environment";

const DIRECT: Route = { name: "direct", hops: [] };
const GOES_DIRECTLY = succeed(DIRECT);

/** What is to be reached for whom, and the snapshot that knows the upstreams. */
export interface RouteRequest extends NamedRequester {
  readonly runtime: KnownUpstreams;
  readonly target: Endpoint | undefined;
  /** Of a URI that is to be forwarded. */
  readonly scheme?: "http" | "https" | undefined;
}

/** Finds the hops that `via` of a decision names. Fails when it names an unknown upstream, or one that the request has no login for. */
export function chooseRoute(request: RouteRequest, { via, sourceAddress }: AllowDecision): Outcome<Route> {
  const hops = findHops(via, request);
  if (typeof hops === "string") return fail("no_upstream", { note: `no upstream is named ${hops}` });
  for (const hop of hops) {
    const login = typeof hop.credentials?.user === "object" ? resolveLogin(hop, request) : undefined;
    if (login?.ok === false) return login;
  }
  const from = sourceAddress ?? hops[0]?.sourceAddress;
  if (hops.length === 0 && from === undefined) return GOES_DIRECTLY;
  const named = hops.length === 0 ? DIRECT : { name: hops.map((hop) => hop.name).join(" > "), hops };
  return succeed(from === undefined ? named : { ...named, sourceAddress: from });
}

/** The hops of `via`, or the name that is not known. */
function findHops(via: Via, request: RouteRequest): readonly Hop[] | string {
  if (via.length === 0) return DIRECT.hops;
  const hops: Hop[] = [];
  for (const name of via) {
    const hop = request.runtime.upstreams.get(name);
    if (hop !== undefined) {
      hops.push(hop);
      continue;
    }
    // A word and not a name: only alone.
    if (via.length > 1) return name;
    if (name === ENVIRONMENT) return findEnvironmentHops(request);
    if (name !== DIRECT.name) return name;
  }
  return hops;
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
