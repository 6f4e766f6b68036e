import { isPooled, type PooledRoute, type Route } from "../route/route.ts";
import { dial } from "./dial.ts";
import type { DialRequest, DialServices } from "./dial-context.ts";
import { dialPatiently } from "./dial-patiently.ts";
import { dialPooled, type PooledOutcome } from "./fail-over.ts";
import { type Found, MemberSearch } from "./member-search.ts";
import type { Carriage } from "./carriage.ts";
import type { DialOutcome } from "./dial.ts";

/** A dial for a tunnel, along a route with or without pools. */
export interface TunnelDial extends Omit<DialRequest, "route" | "wish"> {
  readonly route: Route | PooledRoute;
}

/** `carriage`: the members of pools that carry the connection, or that were tried last. */
export type TunnelOutcome = DialOutcome & { readonly carriage?: Carriage };

/** Dials a tunnel to the target. The members of pools are chosen now. */
export function dialAlong(request: TunnelDial, services: DialServices): Promise<TunnelOutcome> {
  const { route } = request;
  return isPooled(route) ? searchAndDial({ ...request, route }, services) : dial({ ...request, route }, services);
}

function searchAndDial(
  request: TunnelDial & { readonly route: PooledRoute },
  services: DialServices,
): Promise<PooledOutcome> {
  const search = new MemberSearch(request, services);
  const go = (first: Found): Promise<PooledOutcome> | PooledOutcome => {
    const dialMembers = search.waitMs === 0 ? dialPooled : dialPatiently;
    if (first.ok) return dialMembers({ ...request, search }, services, first.value);
    request.grant.lookups?.release();
    return first;
  };
  const found = search.find();
  return found instanceof Promise ? found.then(go) : Promise.resolve(go(found));
}
