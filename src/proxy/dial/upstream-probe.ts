import { parseIp } from "../../address/ip.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import { connectTcp } from "../../net/runtime/connect.ts";
import { fail } from "../failure.ts";
import type { Policy } from "../policy/policy.ts";
import { lookUpHost } from "../resolve/resolve-host.ts";
import { traceRoute } from "../route/choose-route.ts";
import type { PoolPlan } from "../route/pool-plan.ts";
import type { Hop } from "../route/hop.ts";
import { isPooled, type KnownUpstreams } from "../route/route.ts";
import { askFamilies, raceConnect, RFC_8305_PACE } from "./connect-race.ts";
import type { DialServices } from "./dial-context.ts";

/** What of a snapshot says where the default route leads. */
export interface DefaultRoute extends KnownUpstreams {
  readonly policy: Pick<Policy, "fallback">;
}

/** Milliseconds that an upstream has to accept a connection: whoever asks for readiness waits no longer. */
const PROBE_MS = 2000;

/**
 * Whether the default route leads anywhere: whether its first upstream accepts
 * connections, or each of its pools has a healthy member. A direct route is always open, and so is one that is denied by
 * default: rules may know others.
 */
export function isDefaultRouteOpen(
  runtime: DefaultRoute,
  services: DialServices,
  now = () => performance.now(),
): boolean | Promise<boolean> {
  const { fallback } = runtime.policy;
  if (fallback.kind === "deny") return true;
  const decision = { verdict: "allow", rule: "", allowPrivate: false, via: fallback.via } as const;
  const route = traceRoute({ runtime, target: undefined }, decision);
  if (!route.ok) return false;
  if (isPooled(route.value)) return route.value.steps.every((step) => isUsable(step, services));
  const [first] = route.value.hops;
  return first === undefined || services.upstreams.find(first).isOpen(() => probe(first, services), now);
}

/** Whether a pool has a healthy member. Upstreams beside it are not asked. */
function isUsable(step: Hop | PoolPlan, { pools }: DialServices): boolean {
  if (step.kind !== "pool") return true;
  const pool = pools.find(step);
  return pool.isHealthyAt(pool.now());
}

/** Connects to an upstream and says nothing. */
async function probe({ endpoint: { host, port }, sourceAddress }: Hop, services: DialServices): Promise<boolean> {
  const { resolver, own, connect = connectTcp } = services;
  const limit = new TimeLimit(PROBE_MS);
  const lookups = lookUpHost(host, resolver);
  const reached = await raceConnect(askFamilies(lookups), {
    port,
    source: sourceAddress === undefined ? undefined : parseIp(sourceAddress),
    refuse: (ip) => (own.has(ip, port) ? fail("proxy_loop").failure : undefined),
    connect,
    limit,
    pace: RFC_8305_PACE,
  });
  limit.release();
  lookups.release();
  if (reached.ok) reached.value.conn.close();
  return reached.ok;
}
