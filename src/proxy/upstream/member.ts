import { formatEndpoint } from "../../address/endpoint.ts";
import type { MemberPlan } from "../route/pool-plan.ts";
import { type HealthChange, MemberHealth } from "./member-health.ts";
import { PeakEwma } from "./peak-ewma.ts";

/** A member of a pool as long as its address stays the same: what is known of it outlives requests and snapshots. */
export class Member {
  /** What the newest snapshot says about it. */
  plan: MemberPlan;
  readonly health: MemberHealth;
  readonly latency = new PeakEwma();
  /** Connections through it now, those that are being dialled included. */
  active = 0;
  dialling = 0;
  /** Dials that succeeded, and those that failed because of it. */
  dialled = 0;
  failed = 0;
  /** Its position in the order of the pool. */
  index = 0;
  /** For `MemberHeap`: its place there, or -1; and what it is ordered by. */
  heapAt = -1;
  load = 0;
  turn = 0;

  constructor(plan: MemberPlan, now: number, changed: (member: Member, change: HealthChange) => void) {
    this.plan = plan;
    this.health = new MemberHealth(now, (change) => changed(this, change));
  }

  get name(): string {
    return this.plan.name;
  }

  /** Whether it can be used when nobody else is left, because only failures of the past speak against it. */
  isResort({ tried }: { readonly tried: ReadonlySet<Member> }, now: number): boolean {
    const state = this.health.stateAt(now);
    return !tried.has(this) && (state === "ejected" || state === "trial");
  }

  /** Whether it takes another connection, as far as its limit and its trial say. */
  get hasRoom(): boolean {
    const { maxConnections } = this.plan;
    return (maxConnections === 0 || this.active < maxConnections) && !this.health.isOnTrial;
  }
}

/** Members of the same name are the same as long as they are reached in the same way. */
export function identifyMember({ name, way }: MemberPlan): string {
  if (way === "direct") return `${name} direct`;
  return way.kind === "pool" ? `${name} pool ${way.name}` : `${name} ${way.kind} ${formatEndpoint(way.endpoint)}`;
}
