import type { MemberState, PoolState } from "../../src/proxy/upstream/pool-state.ts";

/** A member that was never used, unless `more` says otherwise. */
export function makeMemberState(name: string, more: Partial<MemberState> = {}): MemberState {
  return {
    name,
    backup: false,
    weight: 1,
    maxConnections: 0,
    health: "healthy",
    disabled: false,
    reason: undefined,
    sinceMs: 0,
    leftMs: undefined,
    connections: 0,
    dialling: 0,
    dialled: 0,
    failed: 0,
    failures: 0,
    ejections: 0,
    latencyMs: undefined,
    ...more,
  };
}

export function makePoolState(name: string, members: readonly MemberState[], more: Partial<PoolState> = {}): PoolState {
  return { name, balance: "round-robin", members, waiting: 0, sessions: 0, ...more };
}
