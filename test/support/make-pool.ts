import type { CarriedPools } from "../../src/handover/carried-pools.ts";
import type { MemberPlan, PoolPlan } from "../../src/proxy/route/pool-plan.ts";
import type { Member } from "../../src/proxy/upstream/member.ts";
import type { MemberUse } from "../../src/proxy/upstream/member-use.ts";
import type { Pool, PoolEvent, PoolWish } from "../../src/proxy/upstream/pool.ts";
import { Pools } from "../../src/proxy/upstream/pools.ts";
import { makeEndpoint } from "./make-endpoint.ts";

/** The plan of a member: an HTTP proxy of that name. */
export function makeMember(name: string, more: Partial<MemberPlan> = {}): MemberPlan {
  return {
    name,
    way: { name: `pool/${name}`, kind: "http", endpoint: makeEndpoint(`${name}.example:3128`) },
    weight: 1,
    maxConnections: 0,
    backup: false,
    ...more,
  };
}

export function makePoolPlan(members: readonly (MemberPlan | string)[], more: Partial<PoolPlan> = {}): PoolPlan {
  return {
    kind: "pool",
    name: "pool",
    members: members.map((member) => (typeof member === "string" ? makeMember(member) : member)),
    balance: "round-robin",
    hash: "user",
    eject: { failures: 3, forMs: 10_000, maxMs: 600_000, statuses: new Set() },
    attempts: 3,
    waitMs: 0,
    slowStartMs: 0,
    ...more,
  };
}

/** Pools with a clock and dice in the hands of a test. */
export class PoolStand {
  now = 1000;
  readonly events: PoolEvent[] = [];
  readonly pools: Pools;
  #seed: number;

  constructor(seed = 1) {
    this.#seed = seed;
    this.pools = new Pools({
      now: () => this.now,
      random: () => this.#random(),
      changed: (event) => this.events.push(event),
    });
  }

  /** What a hand-over knows of them. */
  get carried(): CarriedPools {
    return { listPools: () => this.pools.all(), findPool: (name) => this.pools.get(name) };
  }

  open(plan: PoolPlan): Pool {
    return this.pools.find(plan);
  }

  /** mulberry32. */
  #random(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0;
    let value = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 0x1_0000_0000;
  }
}

/** A request of a user, a client and a target that all have this name. */
export function wish(key = "anybody", tried: Iterable<Member> = []): PoolWish {
  return { key: () => key, tried: new Set(tried) };
}

/** Takes a member; a test that gets none fails. */
export function take(pool: Pool, request = wish()): MemberUse {
  const use = pool.take(request);
  if (typeof use === "string") throw new Error(`There is no member: ${use}`);
  return use;
}

/** Takes a member, connects and disconnects at once. */
export function pass(pool: Pool, request = wish()): string {
  const use = take(pool, request);
  use.connected();
  use.release();
  return use.member.name;
}
