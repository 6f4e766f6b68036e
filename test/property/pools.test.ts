import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { BalanceMode } from "../../src/proxy/route/pool-plan.ts";
import { Member } from "../../src/proxy/upstream/member.ts";
import type { MemberUse } from "../../src/proxy/upstream/member-use.ts";
import type { Pool } from "../../src/proxy/upstream/pool.ts";
import { Rendezvous } from "../../src/proxy/upstream/rendezvous.ts";
import { StickyTable } from "../../src/proxy/upstream/sticky-table.ts";
import { WaitQueue } from "../../src/proxy/upstream/wait-queue.ts";
import { makeMember, makePoolPlan, pass, PoolStand, take, wish } from "../support/make-pool.ts";

const CHOICES = 100_000;
const weights = [1, 2, 3, 10, 4];

function countChoices(balance: BalanceMode, choose: (pool: Pool, at: number, stand: PoolStand) => string): number[] {
  const stand = new PoolStand(7);
  const members = weights.map((weight, at) => makeMember(`m${at}`, { weight }));
  const pool = stand.open(makePoolPlan(members, { balance }));
  const counts = weights.map(() => 0);
  for (let at = 0; at < CHOICES; at++) {
    const index = Number(choose(pool, at, stand).slice(1));
    counts[index] = (counts[index] ?? 0) + 1;
  }
  return counts;
}

/** The largest distance of a share from that of its weight, as a part of the latter. */
function findError(counts: readonly number[], wanted: readonly number[] = weights): number {
  const sum = wanted.reduce((total, weight) => total + weight, 0);
  return Math.max(...counts.map((count, at) => Math.abs(count / ((CHOICES * (wanted[at] ?? 0)) / sum) - 1)));
}

describe("100,000 choices", () => {
  test("of round-robin are in the proportion of the weights, exactly", () => {
    expect(findError(countChoices("round-robin", (pool) => pass(pool)))).toBeLessThan(0.001);
  });

  test("of round-robin are spread: a heavy member does not come in long runs", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan([makeMember("heavy", { weight: 3 }), "a", "b", "c"]));
    const order = Array.from({ length: 600 }, () => pass(pool));
    const longest =
      order
        .join(" ")
        .match(/(?:heavy ?)+/g)
        ?.map((run) => run.trim().split(" ").length) ?? [];
    expect(Math.max(...longest)).toBeLessThanOrEqual(2);
  });

  test("of random are in the proportion of the weights", () => {
    expect(findError(countChoices("random", (pool) => pass(pool)))).toBeLessThan(0.05);
  });

  test("of least-connections are in the proportion of the weights, while nothing is open", () => {
    expect(findError(countChoices("least-connections", (pool) => pass(pool)))).toBeLessThan(0.001);
  });

  test("of least-connections keep the open connections in the proportion of the weights", () => {
    const open: MemberUse[] = [];
    const stand = new PoolStand();
    const pool = stand.open(
      makePoolPlan(
        weights.map((weight, at) => makeMember(`m${at}`, { weight })),
        { balance: "least-connections" },
      ),
    );
    for (let at = 0; at < CHOICES; at++) {
      const use = take(pool);
      use.connected();
      open.push(use);
      // Connections end in any order.
      if (open.length > 2000) open.splice((at * 7919) % open.length, 1)[0]?.release();
    }
    const { length } = open;
    for (const member of pool.members) expect(member.active).toBeCloseTo((length * member.plan.weight) / 20, -1);
  });

  test("of latency are in the proportion of the weights when all are equally fast", () => {
    const counts = countChoices("latency", (pool, _, stand) => {
      const use = take(pool);
      stand.now += 10;
      use.connected();
      use.release();
      return use.member.name;
    });
    expect(findError(counts)).toBeLessThan(0.01);
  });

  test("of latency are in the proportion of weight divided by latency", () => {
    const latencies = [10, 20, 40, 100, 10];
    const counts = countChoices("latency", (pool, _, stand) => {
      const use = take(pool);
      stand.now += latencies[Number(use.member.name.slice(1))] ?? 0;
      use.connected();
      use.release();
      return use.member.name;
    });
    const wanted = weights.map((weight, at) => weight / (latencies[at] ?? 1));
    expect(findError(counts, wanted)).toBeLessThan(0.05);
  });

  test("of hash are in the proportion of the weights", () => {
    expect(findError(countChoices("hash", (pool, at) => pass(pool, wish(`user-${at}`))))).toBeLessThan(0.05);
  });

  test("of first all fall on the first one", () => {
    expect(countChoices("first", (pool) => pass(pool))).toEqual([CHOICES, 0, 0, 0, 0]);
  });
});

describe("rendezvous hashing", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 12 });
  const large = fc.constantFrom(150, 300).map((size) => Array.from({ length: size }, (_, at) => (at % 3) + 1));
  const always = () => true;

  test("moves only the keys of the member that left, and brings them all back", () => {
    fc.assert(
      fc.property(fc.oneof(sizes, large), fc.nat(), (list, which) => {
        const members = list.map((weight, at) => new Member(makeMember(`m${at}`, { weight }), 0, () => {}));
        const gone = members[which % members.length];
        const hashes = new Rendezvous();
        const find = () => Array.from({ length: 500 }, (_, at) => hashes.find(`key ${at}`, always));
        hashes.reset(members);
        const before = find();
        hashes.reset(members.filter((member) => member !== gone));
        const after = find();
        for (const [at, owner] of before.entries()) {
          if (owner === gone) expect(after[at]).not.toBe(gone);
          else expect(after[at]).toBe(owner);
        }
        hashes.reset(members);
        expect(find()).toEqual(before);
      }),
      { numRuns: 30 },
    );
  });

  test("gives the keys of a member without room to the one that would have them if it left", () => {
    const members = [1, 2, 3, 4].map((weight) => new Member(makeMember(`m${weight}`, { weight }), 0, () => {}));
    const [full] = members;
    const hashes = new Rendezvous();
    const without = new Rendezvous();
    hashes.reset(members);
    without.reset(members.slice(1));
    for (let at = 0; at < 500; at++)
      expect(hashes.find(`key ${at}`, (member) => member !== full)).toBe(without.find(`key ${at}`, always));
  });
});

describe("a pool", () => {
  const mode = fc.constantFrom<BalanceMode>("round-robin", "random", "least-connections", "latency", "hash", "first");
  /** What happens to a pool, in the words of an operator and a network. */
  const step = fc.oneof(
    fc.record({ kind: fc.constant("ask" as const), user: fc.nat({ max: 5 }), fate: fc.nat({ max: 4 }) }),
    fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 30_000 }) }),
    fc.record({ kind: fc.constant("disable" as const), at: fc.nat({ max: 4 }), disabled: fc.boolean() }),
    fc.record({ kind: fc.constant("check" as const), at: fc.nat({ max: 4 }), good: fc.boolean() }),
    fc.record({ kind: fc.constant("end" as const), at: fc.nat() }),
  );

  test("never chooses an unhealthy, full or tried member, and never loses count of connections", () => {
    fc.assert(
      fc.property(mode, fc.boolean(), fc.array(step, { maxLength: 120 }), (balance, isSticky, steps) => {
        const stand = new PoolStand();
        const pool = stand.open(
          makePoolPlan(
            [0, 1, 2, 3, 4].map((at) => makeMember(`m${at}`, { weight: at + 1, maxConnections: 4, backup: at > 3 })),
            { balance, ...(isSticky && { sticky: { by: "user", forMs: 20_000 } }), slowStartMs: 1000 },
          ),
        );
        const open: MemberUse[] = [];
        for (const each of steps) {
          if (each.kind === "wait") stand.now += each.ms;
          else if (each.kind === "disable") pool.disable(`m${each.at}`, each.disabled);
          else if (each.kind === "end") open.splice(each.at % Math.max(1, open.length), 1)[0]?.release();
          else if (each.kind === "check")
            pool.members[each.at]?.health.check(each.good ? undefined : "bad", stand.now, { rise: 1, fall: 1 });
          else {
            const request = wish(`user ${each.user}`);
            const states = new Map(pool.members.map((member) => [member, pool.stateOf(member, stand.now)]));
            const use = pool.take(request);
            const left = pool.members.filter(({ plan }) => !plan.backup).map((member) => states.get(member));
            if (typeof use === "string") {
              const couldServe = [...states].some(
                ([{ plan, hasRoom }, state]) => !plan.backup && state === "healthy" && hasRoom && !isSticky,
              );
              expect(couldServe).toBe(false);
              continue;
            }
            expect(["healthy", "trial"]).toContain(states.get(use.member) ?? "");
            expect(use.member.active).toBeLessThanOrEqual(4);
            // A session may still be on a backup from before.
            if (use.member.plan.backup && !isSticky) expect(left).not.toContain("healthy");
            if (each.fate === 0) use.failed("refused");
            else if (each.fate === 1) use.answered();
            else if (each.fate === 2) use.abandoned();
            else {
              use.connected();
              open.push(use);
            }
          }
          const active = pool.members.reduce((sum, member) => sum + member.active, 0);
          expect(active).toBe(open.length);
        }
        for (const use of open) use.release();
        for (const member of pool.members) {
          expect(member.active).toBe(0);
          expect(member.dialling).toBe(0);
          expect(member.health.isOnTrial).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe("the sessions of a pool", () => {
  test("are bounded, and the one that was not used for longest is forgotten", () => {
    const table = new StickyTable(100);
    const member = new Member(makeMember("m"), 0, () => {});
    for (let at = 0; at < 1000; at++) table.set(`session ${at}`, member, at);
    expect(table.size).toBe(100);
    expect(table.find("session 899", 10_000, 1000)).toBeUndefined();
    expect(table.find("session 900", 10_000, 1000)).toBe(member);
  });
});

describe("the queue of a pool", () => {
  test("is bounded in all and for one client", () => {
    const queue = new WaitQueue<number>(10, 4);
    const taken = Array.from({ length: 8 }, (_, at) => queue.add("greedy", at));
    expect(taken.filter(Boolean)).toHaveLength(4);
    const others = Array.from({ length: 20 }, (_, at) => queue.add(`other ${at}`, 100 + at));
    expect(others.filter(Boolean)).toHaveLength(6);
    expect(queue.size).toBe(10);
  });

  test("serves clients by turns, whatever one of them has queued", () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 4 }), { minLength: 1, maxLength: 60 }), (clients) => {
        const queue = new WaitQueue<{ client: number }>(1000, 1000);
        for (const client of clients) queue.add(String(client), { client });
        const served: number[] = [];
        while (queue.size > 0) {
          let room = 1;
          queue.serve(({ client }) => {
            if (room === 0) return false;
            room -= 1;
            served.push(client);
            return true;
          });
        }
        // As long as a client waits, nobody is served twice before it.
        const wanted = new Map<number, number>();
        for (const client of clients) wanted.set(client, (wanted.get(client) ?? 0) + 1);
        for (const client of wanted.keys()) {
          const until = served.lastIndexOf(client);
          const before = served.slice(0, until);
          for (const other of wanted.keys())
            expect(before.filter((each) => each === other).length).toBeLessThanOrEqual(wanted.get(client) ?? 0);
        }
        expect(served.toSorted()).toEqual(clients.toSorted());
      }),
    );
  });
});
