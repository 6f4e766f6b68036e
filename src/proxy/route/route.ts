import type { Hop } from "./hop.ts";
import type { PoolPlan } from "./pool-plan.ts";

/** How a target is reached: directly, or through `hops` in order. */
export interface Route {
  /** `direct`, or the upstreams' names joined by ` > `. */
  readonly name: string;
  readonly hops: readonly Hop[];
  /** Local address to connect from; undefined lets the system choose. */
  readonly sourceAddress?: string;
}

/** A route with a pool in it: the members, and with them the hops, are chosen for each dial. */
export interface PooledRoute {
  /** The names in the configuration joined by ` > `. */
  readonly name: string;
  readonly steps: readonly (Hop | PoolPlan)[];
  /** As of `Route`; when it is undefined, that of the first hop holds. */
  readonly sourceAddress?: string;
}

/** Whether the hops of a route are chosen for each dial. */
export function isPooled(route: Route | PooledRoute): route is PooledRoute {
  return "steps" in route;
}

/** Whether the end of a route gets the name of a target as it is, and resolves it itself. */
export function resolvesNames(route: Route | PooledRoute): boolean {
  if (isPooled(route)) return route.steps.slice(-1).every(resolvesNamesAt);
  return route.hops.slice(-1).some(resolvesNamesAt);
}

/** Of a pool: whether every member does. */
function resolvesNamesAt(step: Hop | PoolPlan): boolean {
  if (step.kind !== "pool") return step.kind !== "socks5";
  return step.members.every(({ way }) => way !== "direct" && resolvesNamesAt(way));
}

/** Upstreams as the conventional environment variables set them. */
export interface EnvironmentRoutes {
  /** For tunnels: `https_proxy`, or `all_proxy`. */
  readonly tunnel?: Hop;
  /** For plain HTTP requests: `http_proxy`, or `all_proxy`. */
  readonly forward?: Hop;
  /** Whether `no_proxy` exempts the target. */
  bypasses(host: string, port: number): boolean;
}

/** The upstreams of a snapshot. */
export interface KnownUpstreams {
  /** Upstream proxies and pools by name. */
  readonly upstreams: ReadonlyMap<string, Hop | PoolPlan>;
  /** Where `via: environment` leads, by target; undefined when the environment is not asked. */
  readonly environment?: EnvironmentRoutes;
}
