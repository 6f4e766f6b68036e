import type { Ip } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import { type Failure, type Outcome, succeed } from "../failure.ts";
import type { Grant } from "../policy/decision.ts";
import { chooseRoute, type RouteRequest } from "../route/choose-route.ts";
import type { PooledRoute, Route } from "../route/route.ts";
import type { PacPlan, PacWay } from "./pac-plan.ts";
import type { PacRequest, PacRouter } from "./pac-router.ts";

/** The upstreams of a route that PAC files choose, by name. */
export type ChosenWays = ReadonlyMap<string, PacWay>;

/** What of a snapshot says which upstreams have a PAC file. */
export interface KnownPacs {
  readonly pacs?: ReadonlyMap<string, PacPlan>;
  readonly timeouts: { readonly connectMs: number };
}

export interface PacMeans {
  readonly router: PacRouter;
  /** The connection whose closing ends the wait. */
  readonly client: Conn | undefined;
}

/** Whether a route has an upstream that a PAC file chooses: it can be another one for each request. */
export function asksPac({ pacs }: Pick<KnownPacs, "pacs">, via: readonly string[]): boolean {
  return pacs !== undefined && via.some((name) => pacs.has(name));
}

/** A route, and the grant to dial along it. */
export type RouteFinding = (
  { readonly ok: true; readonly value: Route | PooledRoute } | { readonly ok: false; readonly failure: Failure }
) & { readonly grant: Grant };

/** Finds the route that `grant` allows: at once, unless a PAC file has to be asked. */
export function findRoute(
  record: RouteRequest & { readonly runtime: KnownPacs; readonly client: Ip },
  grant: Grant,
  request: Omit<PacRequest, "client">,
  means: PacMeans,
): RouteFinding | Promise<RouteFinding> {
  const { decision } = grant;
  if (!asksPac(record.runtime, decision.via)) return { ...chooseRoute(record, decision), grant };
  return chooseWays(record, grant, request, means).then((asked) => {
    if (!asked.ok) return { ...asked, grant };
    const { runtime, target, scheme, user, parameters } = record;
    const { ways: chosen, grant: left } = asked.value;
    return { ...chooseRoute({ runtime, target, scheme, user, parameters, chosen }, decision), grant: left };
  });
}

/**
 * Asks the PAC files of the route that `grant` allows, within the time for
 * connecting. The grant that it gives has that time in `spentMs`.
 */
export async function chooseWays(
  { runtime, client: from }: { readonly runtime: KnownPacs; readonly client: Ip },
  grant: Grant,
  request: Omit<PacRequest, "client">,
  { router, client }: PacMeans,
): Promise<Outcome<{ readonly ways: ChosenWays; readonly grant: Grant }>> {
  const ways = new Map<string, PacWay>();
  const { spentMs = 0, decision } = grant;
  const ms = runtime.timeouts.connectMs - spentMs;
  const limit = new TimeLimit(ms, client);
  try {
    for (const name of decision.via) {
      const plan = runtime.pacs?.get(name);
      if (plan === undefined || ways.has(name)) continue;
      const chosen = await router.choose(plan, { ...request, client: from }, limit);
      if (!chosen.ok) return chosen;
      ways.set(name, chosen.value);
    }
    return succeed({ ways, grant: { ...grant, spentMs: spentMs + ms - limit.remainingMs } });
  } finally {
    limit.release();
  }
}
