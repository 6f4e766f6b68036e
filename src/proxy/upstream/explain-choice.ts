import type { AffinityKey, PoolPlan } from "../route/pool-plan.ts";
import type { Pool, PoolWish, RankedMember } from "./pool.ts";

/** A member that a request would be led to, and why it has its place in the order. */
export interface Candidate {
  readonly member: string;
  readonly why: string;
}

/** The members that a request would try now, in order: as many as the pool lets one connection try. Changes nothing. */
export function explainChoice(pool: Pool, wish: PoolWish): Candidate[] {
  const { plan } = pool;
  const ranked = pool.rank(wish, plan.attempts);
  return ranked.map((one, at) => ({ member: one.member.name, why: explain(one, at, plan) }));
}

function explain({ by, member }: RankedMember, at: number, plan: PoolPlan): string {
  switch (by) {
    case "session":
      return `${nameSession(plan)} has it${member.hasRoom ? "" : "; it is full"}`;
    case "backup":
      return at === 0 ? "a backup, and no other is healthy" : "a backup, when no other is healthy";
    default:
      return explainBalance(plan);
  }
}

function explainBalance({ balance, hash }: PoolPlan): string {
  if (typeof balance === "function") return "next in turn, unless the function names another one";
  switch (balance) {
    case "round-robin":
      return "next in turn";
    case "random":
      return "at random, by weight";
    case "least-connections":
      return "fewest connections for its weight";
    case "latency":
      return "its turn by latency and weight";
    case "hash":
      return `by the hash of the ${nameKey(hash)}`;
    case "first":
      return "first in the list";
    default:
      return balance satisfies never;
  }
}

function nameSession({ sticky }: PoolPlan): string {
  return sticky?.by === "session" ? "the session" : `the session of the ${nameKey(sticky?.by)}`;
}

function nameKey(by: AffinityKey | undefined): string {
  return by ?? "user";
}
