import { describe, expect, test } from "bun:test";
import type { Pool } from "../../../../src/proxy/upstream/pool.ts";
import type { Member } from "../../../../src/proxy/upstream/member.ts";
import { makeMember, makePoolPlan, pass, PoolStand, take, wish } from "../../../support/make-pool.ts";

describe("the order in which members would be tried", () => {
  const rank = (pool: Pool, key?: string, count = 3) =>
    pool.rank(wish(key), count).map(({ member, by }) => `${by} ${member.name}`);

  test.each(["round-robin", "least-connections", "latency", "first", "hash"] as const)(
    "is the order in which %s chooses, and asking changes nothing",
    (balance) => {
      const stand = new PoolStand();
      const pool = stand.open(makePoolPlan(["a", makeMember("b", { weight: 3 }), "c"], { balance }));
      for (let at = 0; at < 50; at++) {
        const key = `user ${at}`;
        const [first] = rank(pool, key);
        expect(rank(pool, key)[0]).toBe(first as string);
        expect(`balance ${pass(pool, wish(key))}`).toBe(first as string);
      }
    },
  );

  test("goes on to the members that a hash falls over to, and ends with backups", () => {
    const pool = new PoolStand().open(
      makePoolPlan(["a", "b", "c", makeMember("d", { backup: true })], { balance: "hash" }),
    );
    const order = rank(pool, "alice", 9);
    expect(order[3]).toBe("backup d");
    const tried: Member[] = [];
    for (const expected of order.slice(0, 3)) {
      const use = take(pool, wish("alice", tried));
      expect(`balance ${use.member.name}`).toBe(expected);
      tried.push(use.member);
      use.abandoned();
    }
  });

  test("begins with the member of the session, and leaves out who is not healthy", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b", "c"], { balance: "first", sticky: { by: "user", forMs: 60_000 } }));
    pool.disable("a", true);
    expect(rank(pool, "alice")).toEqual(["balance b", "balance c"]);
    pass(pool, wish("alice"));
    pool.disable("a", false);
    expect(rank(pool, "alice")).toEqual(["session b", "balance a", "balance c"]);
    expect(rank(pool, "bob")).toEqual(["balance a", "balance b", "balance c"]);
    pool.disable("b", true);
    expect(rank(pool, "alice")).toEqual(["balance a", "balance c"]);
  });
});
