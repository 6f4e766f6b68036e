import type { Endpoint } from "../../address/endpoint.ts";
import type { Secret } from "../../secret.ts";
import type { ProxyProtocolVersion } from "../policy/decision.ts";
import type { UserTemplate } from "./user-template.ts";
import type { PoolPlan } from "./pool-plan.ts";

/** How to speak to one upstream proxy. */
export type HopKind = "http" | "https" | "socks5" | "socks5h" | "socks4a";

export interface HopTls {
  /** Name to verify and to send as SNI; the host of the hop unless told otherwise. */
  readonly serverName: string;
  /** PEM texts of extra roots; the bundled ones when absent. */
  readonly ca?: readonly string[];
  /** PEM texts of the client certificate chain and its key. */
  readonly cert?: string;
  readonly key?: string;
}

/** One upstream proxy of a route, as compiled from the configuration. */
export interface Hop {
  /** Name in the configuration, for rules, records and metrics. */
  readonly name: string;
  readonly kind: HopKind;
  readonly endpoint: Endpoint;
  /** `resolveLogin` makes them what is sent for a request. */
  readonly credentials?: { readonly user: string | UserTemplate; readonly password: Secret };
  /** The only scheme in which an HTTP upstream gets them; undefined for Basic unless it asks for Digest. */
  readonly auth?: "basic" | "digest";
  /** Version of the PROXY protocol header that tells this upstream of the client, first thing on a connection to it. */
  readonly proxyProtocol?: ProxyProtocolVersion;
  readonly tls?: HopTls;
  /** Plain HTTP goes through a tunnel, too, instead of being forwarded by the upstream. */
  readonly tunnelHttp?: true;
  /** Local address to connect from (only the first hop of a chain has use for it). */
  readonly sourceAddress?: string;
}

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
