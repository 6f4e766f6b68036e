import type { HealthState } from "./member-health.ts";
import type { Member } from "./member.ts";
import type { Pool } from "./pool.ts";

/** A pool as it is now, for people and machines. */
export interface PoolState {
  readonly name: string;
  /** The balance, or `function`. */
  readonly balance: string;
  readonly members: readonly MemberState[];
  /** Requests that wait for a member. */
  readonly waiting: number;
  /** Sessions that are remembered. */
  readonly sessions: number;
}

export interface MemberState {
  readonly name: string;
  readonly backup: boolean;
  readonly weight: number;
  /** Connections at once; 0 for no limit. */
  readonly maxConnections: number;
  readonly health: HealthState;
  readonly disabled: boolean;
  /** Why it is in this state; undefined when it was never in another. */
  readonly reason: string | undefined;
  /** Milliseconds since its state last changed, or since it is known. */
  readonly sinceMs: number;
  /** Milliseconds for which it is still ejected; undefined when it is not. */
  readonly leftMs: number | undefined;
  /** Connections through it now; those among them that are being dialled. */
  readonly connections: number;
  readonly dialling: number;
  /** Dials in all that succeeded, and that failed because of it. */
  readonly dialled: number;
  readonly failed: number;
  /** Consecutive failures. */
  readonly failures: number;
  readonly ejections: number;
  /** Of the last dials that succeeded; undefined before the first. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly average: number } | undefined;
}

/** Describes a pool. `now` is the clock of the pool. */
export function describePool(pool: Pool, now: number): PoolState {
  const { balance } = pool.plan;
  return {
    name: pool.plan.name,
    balance: typeof balance === "function" ? "function" : balance,
    members: pool.members.map((member) => describeMember(member, pool.stateOf(member, now), now)),
    waiting: pool.waiting,
    sessions: pool.sessions.size,
  };
}

function describeMember(member: Member, state: HealthState, now: number): MemberState {
  const { plan, health, latency } = member;
  const { average } = latency;
  const returnsAt = health.changesAt(now);
  return {
    name: plan.name,
    backup: plan.backup,
    weight: plan.weight,
    maxConnections: plan.maxConnections,
    health: state,
    disabled: health.disabled,
    reason: health.reason,
    sinceMs: Math.max(0, now - health.changedAt),
    leftMs: state === "ejected" && returnsAt !== Infinity ? returnsAt - now : undefined,
    connections: member.active,
    dialling: member.dialling,
    dialled: member.dialled,
    failed: member.failed,
    failures: health.failures,
    ejections: health.ejections,
    latencyMs:
      average === undefined
        ? undefined
        : { p50: latency.quantile(0.5) ?? average, p99: latency.quantile(0.99) ?? average, average },
  };
}
