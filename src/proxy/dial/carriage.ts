import { MemberUse } from "../upstream/member-use.ts";
import type { Hop } from "../route/hop.ts";
import type { PooledRoute, Route } from "../route/route.ts";
import { makeRoute } from "../route/choose-route.ts";

/** What a record has of the members that carry a connection. */
export type RecordedCarriage = Pick<Carriage, "name" | "members" | "attempt" | "release">;

/** The members of pools that were chosen for one dial, and the route through them. */
export class Carriage {
  readonly route: Route;
  readonly uses: readonly MemberUse[];
  /** Which attempt of its request it is. */
  attempt = 1;

  /** `parts` are the steps of the route, with a use in the place of each pool. */
  constructor({ sourceAddress }: PooledRoute, parts: readonly (Hop | MemberUse)[]) {
    const uses: MemberUse[] = [];
    const hops: Hop[] = [];
    for (const part of parts) {
      const isUse = part instanceof MemberUse;
      if (isUse) uses.push(part);
      const hop = isUse ? part.hop : part;
      if (hop !== undefined) hops.push(hop);
    }
    this.uses = uses;
    this.route = makeRoute(hops, sourceAddress);
  }

  /** `exits/10.0.0.7:1080`, joined by ` > ` when there are several pools. */
  get name(): string {
    return this.uses.map(({ label }) => label).join(" > ");
  }

  /** The names of each member, with those of its pools before. */
  get members(): readonly (readonly string[])[] {
    return this.uses.map(({ names }) => names);
  }

  /** Whether a backup or a direct connection is among the members: no request is led there while others may only be slow. */
  get isLastResort(): boolean {
    return this.uses.some(isLastResort);
  }

  /** The connection is open. `proves`: every member has done what it was asked for. */
  connected(proves: boolean): void {
    for (const use of this.uses) use.connected(proves);
  }

  /** A connection is used again that was kept. */
  reused(): void {
    for (const use of this.uses) use.reused();
  }

  /** Every member has done what it was asked for. */
  worked(): void {
    for (const use of this.uses) use.worked();
  }

  /** The last member has answered with a status that may eject it; whether it did. `isOwn`: no target can have answered so. */
  refused(status: number, retryMs: number | undefined, isOwn: boolean): boolean {
    return this.uses.at(-1)?.refused(status, retryMs, isOwn) === true;
  }

  /** Nothing is carried any more. */
  release(): void {
    for (const use of this.uses) use.release();
  }
}

function isLastResort(use: MemberUse): boolean {
  if (use.member.plan.backup) return true;
  return use.inner === undefined ? use.hop === undefined : isLastResort(use.inner);
}
