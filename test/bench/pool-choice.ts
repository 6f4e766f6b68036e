/** Measures what the choice of a member costs: `bun test/bench/pool-choice.ts`. */
import type { BalanceMode } from "../../src/proxy/route/pool-plan.ts";
import { makePoolPlan, pass, PoolStand, wish } from "../support/make-pool.ts";

const MEMBERS = [1, 5, 1000];
const CHOICES = 100_000;
const ROUNDS = 5;
const modes: readonly BalanceMode[] = ["round-robin", "random", "least-connections", "latency", "hash", "first"];

function measure(balance: BalanceMode, size: number, isSticky: boolean): number {
  const stand = new PoolStand();
  const names = Array.from({ length: size }, (_, at) => `member-${at}`);
  const pool = stand.open(makePoolPlan(names, { balance, ...(isSticky && { sticky: { by: "user", forMs: 60_000 } }) }));
  const wishes = Array.from({ length: 1000 }, (_, at) => wish(`user-${at}`));
  let best = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    const begun = process.cpuUsage().user;
    for (let at = 0; at < CHOICES; at++) pass(pool, wishes[at % wishes.length]);
    best = Math.min(best, (process.cpuUsage().user - begun) / CHOICES);
  }
  return best;
}

for (const isSticky of [false, true])
  for (const mode of modes) {
    const figures = MEMBERS.map((size) => `${size}: ${measure(mode, size, isSticky).toFixed(2)} µs`);
    process.stdout.write(`${mode}${isSticky ? ", sticky" : ""}: ${figures.join(", ")}\n`);
  }
