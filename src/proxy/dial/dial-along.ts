import { isPooled, type PooledRoute, type Route } from "../route/route.ts";
import { dial } from "./dial.ts";
import type { DialRequest, DialServices } from "./dial-context.ts";
import { dialPatiently } from "./dial-patiently.ts";
import { dialPooled, type PooledDial, type PooledOutcome } from "./fail-over.ts";
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
export function dialAlong(
  { requester, client, target, grant, route }: TunnelDial,
  services: DialServices,
): Promise<TunnelOutcome> {
  if (!isPooled(route)) return dial({ requester, client, target, grant, route }, services);
  const search = new MemberSearch({ requester, client, target, route }, services);
  const dialled = { requester, client, target, grant, search };
  const found = search.find();
  return found instanceof Promise
    ? found.then((late) => dialFound(dialled, services, late))
    : dialFound(dialled, services, found);
}

function dialFound(dialled: PooledDial, services: DialServices, found: Found): Promise<PooledOutcome> {
  const dialMembers = dialled.search.waitMs === 0 ? dialPooled : dialPatiently;
  return found.ok ? dialMembers(dialled, services, found.value) : Promise.resolve(found);
}
