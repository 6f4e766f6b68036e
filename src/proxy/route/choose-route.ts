import type { Endpoint } from "../../address/endpoint.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { AllowDecision, Via } from "../policy/policy.ts";
import type { Runtime } from "../runtime.ts";
import type { Hop, Route } from "./route.ts";

/** A way that asks the conventional environment variables. */
const ENVIRONMENT = "environment";

const DIRECT: Route = { name: "direct", hops: [] };
const GOES_DIRECTLY = succeed(DIRECT);

/** What of a session the choice needs, and where it is written down. */
export interface RoutedSession {
  readonly runtime: Pick<Runtime, "upstreams" | "environment">;
  readonly target: Endpoint | undefined;
  /** Of a URI that is to be forwarded. */
  readonly scheme?: "http" | "https" | undefined;
  route: Route | undefined;
}

/** Turns the way of a decision into the hops of a route. Fails when the way names an upstream that there is not. */
export function chooseRoute(session: RoutedSession, authorized: { readonly decision: AllowDecision }): Outcome<Route> {
  const { via, sourceAddress } = authorized.decision;
  const hops = findHops(via, session);
  if (typeof hops === "string") return fail("no_upstream", { note: `no upstream is named ${hops}` });
  const from = sourceAddress ?? hops[0]?.sourceAddress;
  if (hops.length === 0 && from === undefined) {
    session.route = DIRECT;
    return GOES_DIRECTLY;
  }
  const named = hops.length === 0 ? DIRECT : { name: hops.map((hop) => hop.name).join(" > "), hops };
  session.route = from === undefined ? named : { ...named, sourceAddress: from };
  return succeed(session.route);
}

/** The hops of `via`, or the name that is not known. */
function findHops(via: Via, session: RoutedSession): readonly Hop[] | string {
  if (via.length === 0) return DIRECT.hops;
  const hops: Hop[] = [];
  for (const name of via) {
    const hop = session.runtime.upstreams.get(name);
    if (hop !== undefined) {
      hops.push(hop);
      continue;
    }
    // A word and not a name: only alone.
    if (via.length > 1) return name;
    if (name === ENVIRONMENT) return findEnvironmentHops(session);
    if (name !== DIRECT.name) return name;
  }
  return hops;
}

/**
 * Without the variables, or for a target that `no_proxy` exempts, the way is
 * direct, as in every program that reads them. `http_proxy` is for plain HTTP.
 */
function findEnvironmentHops({ runtime: { environment }, scheme, target }: RoutedSession): readonly Hop[] {
  const hop = scheme === "http" ? environment?.forward : environment?.tunnel;
  if (environment === undefined || hop === undefined) return [];
  return target !== undefined && environment.bypasses(target.host.text, target.port) ? [] : [hop];
}
