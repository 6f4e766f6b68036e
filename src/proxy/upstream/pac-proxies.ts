import { describePool, type MemberState } from "./pool-state.ts";
import type { Pools } from "./pools.ts";

/** The proxies that a PAC file named, by `kind://host:port`: those first that are not healthy, and then those that were in use last. */
export function describeProxies(pools: Pools, pac: string): MemberState[] {
  return pools
    .proxiesOf(pac)
    .flatMap((pool) => {
      const name = pool.plan.name.slice(pac.length + 1);
      const { usedAt } = pool;
      return describePool(pool, pool.now()).members.map((member) => ({ usedAt, state: { ...member, name } }));
    })
    .sort((one, other) => rankHealth(one.state) - rankHealth(other.state) || compareUse(other.usedAt, one.usedAt))
    .map(({ state }) => state);
}

function rankHealth({ health }: MemberState): number {
  return health === "healthy" ? 1 : 0;
}

/** Both may be -Infinity. */
function compareUse(one: number, other: number): number {
  return one === other ? 0 : one - other;
}
