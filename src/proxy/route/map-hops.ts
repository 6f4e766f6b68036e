import type { PoolPlan } from "./pool-plan.ts";
import type { Hop } from "./hop.ts";

type Upstreams = ReadonlyMap<string, Hop | PoolPlan>;

/** Every hop of these upstreams, the members of pools included. */
export function* listMemberHops(upstreams: Iterable<Hop | PoolPlan>): Iterable<Hop> {
  for (const upstream of upstreams) {
    if (upstream.kind !== "pool") yield upstream;
    else yield* listMemberHops(upstream.members.map(({ way }) => way).filter((way) => way !== "direct"));
  }
}

/** Replaces hops, those in pools included. A pool whose members stay is the same object, everywhere. */
export function mapHops(upstreams: Upstreams, replace: (hop: Hop) => Hop): Map<string, Hop | PoolPlan> {
  const pools = new Map<PoolPlan, PoolPlan>();
  const hops = new Map<Hop, Hop>();
  const map = (upstream: Hop | PoolPlan): Hop | PoolPlan => {
    if (upstream.kind === "pool") {
      const mapped = pools.get(upstream) ?? mapPool(upstream, map);
      pools.set(upstream, mapped);
      return mapped;
    }
    const mapped = hops.get(upstream) ?? replace(upstream);
    hops.set(upstream, mapped);
    return mapped;
  };
  return new Map([...upstreams].map(([name, upstream]) => [name, map(upstream)]));
}

function mapPool(pool: PoolPlan, map: (upstream: Hop | PoolPlan) => Hop | PoolPlan): PoolPlan {
  const members = pool.members.map((member) => {
    const way = member.way === "direct" ? member.way : map(member.way);
    return way === member.way ? member : { ...member, way };
  });
  return members.every((member, at) => member === pool.members[at]) ? pool : { ...pool, members };
}
