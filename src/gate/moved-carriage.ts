import type { RecordedCarriage } from "../proxy/dial/carriage.ts";
import type { MemberUse } from "../proxy/upstream/member-use.ts";
import type { PoolWish } from "../proxy/upstream/pool.ts";
import type { Pools } from "../proxy/upstream/pools.ts";

/** The members of pools that carry a tunnel, as another process wrote them. */
export interface MovedMembers {
  /** The names of each member, with those of its pools before. */
  readonly members: readonly (readonly string[])[];
  readonly attempt: number;
}

/** The members of pools that carry a tunnel that came from elsewhere. Those that are known here count it. */
export class MovedCarriage implements RecordedCarriage {
  readonly members: readonly (readonly string[])[];
  readonly attempt: number;
  readonly #uses: readonly MemberUse[];

  /** `keyBy` gives what of the request decides about members: an open connection keeps its session. */
  constructor({ members, attempt }: MovedMembers, pools: Pick<Pools, "get">, keyBy: PoolWish["key"]) {
    this.members = members;
    this.attempt = attempt;
    this.#uses = members.flatMap(([pool = "", ...names]) => pools.get(pool)?.countOpen(names, keyBy) ?? []);
  }

  get name(): string {
    return this.members.map((names) => names.join("/")).join(" > ");
  }

  release(): void {
    for (const use of this.#uses) use.release();
  }
}
