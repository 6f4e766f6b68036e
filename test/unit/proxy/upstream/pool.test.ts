import { describe, expect, test } from "bun:test";
import type { Pool } from "../../../../src/proxy/upstream/pool.ts";
import { makeMember, makePoolPlan, pass, PoolStand, take, wish } from "../../../support/make-pool.ts";

const eject = { failures: 1, forMs: 10_000, maxMs: 60_000, statuses: new Set([429]) };

describe("a pool", () => {
  test("takes turns in the order of the configuration", () => {
    const pool = new PoolStand().open(makePoolPlan(["a", "b", "c"]));
    expect(Array.from({ length: 6 }, () => pass(pool))).toEqual(["a", "b", "c", "a", "b", "c"]);
  });

  test("goes to the next member when one was tried, and says when all were", () => {
    const pool = new PoolStand().open(makePoolPlan(["a", "b"]));
    const request = wish();
    for (const name of ["a", "b"]) {
      const use = take(pool, request);
      expect(use.member.name).toBe(name);
      request.tried.add(use.member);
      use.failed("connection_refused");
    }
    expect(pool.take(request)).toBe("tried");
  });

  test("says whether nobody is healthy or nobody has room", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan([makeMember("a", { maxConnections: 1 })], { eject }));
    const use = take(pool);
    expect(pool.take(wish())).toBe("full");
    use.release();
    take(pool).failed("connection_refused");
    expect(pool.take(wish())).toBe("unhealthy");
    stand.now += 10_000;
    expect(pass(pool)).toBe("a");
  });

  test("uses backups only when no other is healthy, not when the others are full", () => {
    const stand = new PoolStand();
    const members = [makeMember("a", { maxConnections: 1 }), makeMember("b", { backup: true })];
    const pool = stand.open(makePoolPlan(members, { eject }));
    const use = take(pool);
    expect(pool.take(wish())).toBe("full");
    use.failed("connection_refused");
    expect(pass(pool)).toBe("b");
    stand.now += 10_000;
    expect(pass(pool)).toBe("a");
    expect(pass(pool)).toBe("a");
  });

  test("uses a backup for a request that has tried all others, and while another one is on trial", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", makeMember("b", { backup: true })], { eject }));
    const [a] = pool.members;
    if (a === undefined) throw new Error("There is no member");
    expect(take(pool, wish("x", [a])).member.name).toBe("b");
    take(pool).failed("connection_refused");
    stand.now += 10_000;
    const trial = take(pool);
    expect(trial.member.name).toBe("a");
    expect(pass(pool)).toBe("b");
    trial.connected();
    expect(pass(pool)).toBe("a");
  });

  test("a status of its list ejects a member for as long as it asks, and others do not", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b"], { eject }));
    const use = take(pool);
    expect(use.refused(502, undefined, true)).toBe(false);
    expect(use.refused(429, 30_000, true)).toBe(true);
    use.release();
    expect(pool.nextChangeAt(stand.now)).toBe(stand.now + 30_000);
    expect(stand.events).toMatchObject([
      { kind: "health", pool: "pool", member: "a", state: "ejected", reason: "answered 429", forMs: 30_000 },
    ]);
  });

  test("the last member is left out by a status of its own, and not by one that a target may have answered", () => {
    const pool = new PoolStand().open(makePoolPlan(["a"], { eject }));
    const use = take(pool);
    expect(use.refused(429, undefined, false)).toBe(false);
    expect(pass(pool)).toBe("a");
    expect(use.refused(429, undefined, true)).toBe(true);
    expect(pool.take(wish())).toBe("unhealthy");
  });

  test("what is behind a member does not eject it", () => {
    const pool = new PoolStand().open(makePoolPlan(["a"], { eject }));
    for (let at = 0; at < 50; at++) take(pool).answered();
    expect(pass(pool)).toBe("a");
  });

  test("disables and enables members by name", () => {
    const pool = new PoolStand().open(makePoolPlan(["a", "b"]));
    expect(pool.disable("a", true)).toBe(true);
    expect(pool.disable("nobody", true)).toBe(false);
    expect([pass(pool), pass(pool)]).toEqual(["b", "b"]);
    expect(pool.disable("a", false)).toBe(true);
    expect(new Set([pass(pool), pass(pool)])).toEqual(new Set(["a", "b"]));
  });

  test("describes what is known of each member", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b"], { eject }));
    const use = take(pool);
    stand.now += 20;
    use.connected();
    take(pool).failed("connection_refused");
    stand.now += 500;
    const [state] = stand.pools.describe();
    expect(state?.members).toMatchObject([
      { name: "a", health: "healthy", connections: 1, dialling: 0, dialled: 1, failed: 0, reason: undefined },
      {
        name: "b",
        health: "ejected",
        connections: 0,
        failed: 1,
        ejections: 1,
        reason: "connection_refused",
        sinceMs: 500,
      },
    ]);
    expect(state?.members[0]?.latencyMs).toEqual({ p50: 20, p99: 20, average: 20 });
    expect(pool.isHealthyAt(stand.now)).toBe(true);
  });
});

describe("a sticky pool", () => {
  const sticky = { by: "user", forMs: 60_000 } as const;

  test("keeps the member of a session until it was not used for the time given", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b", "c"], { sticky }));
    const first = pass(pool, wish("alice"));
    for (let at = 0; at < 10; at++) {
      pass(pool, wish("bob"));
      stand.now += 59_000;
      expect(pass(pool, wish("alice"))).toBe(first);
    }
    stand.now += 60_000;
    const names = [pass(pool, wish("x")), pass(pool, wish("alice")), pass(pool, wish("y"))];
    expect(new Set(names).size).toBe(3);
  });

  test("keeps the member as long as a connection of the session is open", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b", "c"], { sticky }));
    const open = take(pool, wish("alice"));
    open.connected();
    stand.now += 600_000;
    expect(pass(pool, wish("alice"))).toBe(open.member.name);
  });

  test("moves a session when its member is ejected, says so once, and stays with the new one", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b"], { sticky, eject }));
    const first = pass(pool, wish("alice"));
    take(pool, wish("alice")).failed("connection_refused");
    const next = pass(pool, wish("alice"));
    expect(next).not.toBe(first);
    stand.now += 10_000;
    expect(pass(pool, wish("alice"))).toBe(next);
    expect(stand.events.filter(({ kind }) => kind === "moved")).toEqual([
      { kind: "moved", pool: "pool", from: first, to: next },
    ]);
  });

  test("moves a session with the try that succeeds, when its member fails", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a", "b"], { sticky }));
    const first = take(pool, wish("alice"));
    first.failed("connection_refused");
    const second = take(pool, wish("alice", [first.member]));
    expect(stand.events).toEqual([]);
    second.connected();
    expect(stand.events).toEqual([{ kind: "moved", pool: "pool", from: "a", to: "b" }]);
  });

  test("does not lead a session elsewhere because its member has no room", () => {
    const stand = new PoolStand();
    const pool = stand.open(
      makePoolPlan([makeMember("a", { maxConnections: 1 }), makeMember("b", { maxConnections: 1 })], { sticky }),
    );
    take(pool, wish("alice")).connected();
    expect(pool.take(wish("alice"))).toBe("full");
    expect(take(pool, wish("bob")).member.name).toBe("b");
  });
});

describe("a pool within a pool", () => {
  const inner = makePoolPlan(["x", "y"], { name: "inner", eject });

  test("gives its members, counts on both levels, and is out when none of its members is healthy", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan([makeMember("inner", { way: inner }), "a"], { eject, balance: "first" }));
    const use = take(pool);
    expect(use.label).toBe("pool/inner/x");
    expect(use.hop?.name).toBe("pool/x");
    expect(pool.members[0]?.active).toBe(1);
    use.failed("connection_refused");
    const other = take(pool);
    expect(other.label).toBe("pool/inner/y");
    other.failed("connection_refused");
    expect(take(pool).label).toBe("pool/a");
    expect(stand.pools.describe().find(({ name }) => name === "pool")?.members[0]?.health).toBe("down");
    expect(
      stand.pools
        .describe()
        .find(({ name }) => name === "inner")
        ?.members.every((each) => each.connections === 0),
    ).toBe(true);
  });

  test("has its members tried before the request goes on", () => {
    const pool = new PoolStand().open(makePoolPlan([makeMember("inner", { way: inner }), "a"], { balance: "first" }));
    const request = wish();
    const labels = Array.from({ length: 3 }, () => {
      const use = take(pool, request);
      request.tried.add(use.leaf.member);
      use.abandoned();
      return use.label;
    });
    expect(labels).toEqual(["pool/inner/x", "pool/inner/y", "pool/a"]);
    expect(pool.take(request)).toBe("tried");
  });
});

describe("a reload", () => {
  test("keeps health, connections and sessions of members by name, and forgets those that are gone", () => {
    const stand = new PoolStand();
    const sticky = { by: "user", forMs: 60_000 } as const;
    const pool = stand.open(makePoolPlan(["a", "b"], { eject, sticky }));
    const open = take(pool, wish("alice"));
    open.connected();
    take(pool, wish("bob")).failed("connection_refused");
    const next = makePoolPlan(["b", "a", "c"], { eject, sticky, balance: "random" });
    stand.pools.use(new Map([["pool", next]]));
    expect(stand.pools.find(next)).toBe(pool);
    expect(stand.pools.describe()[0]?.members).toMatchObject([
      { name: "b", health: "ejected" },
      { name: "a", connections: 1 },
      { name: "c", connections: 0 },
    ]);
    expect(pass(pool, wish("alice"))).toBe("a");
    stand.pools.use(new Map([["pool", makePoolPlan(["c"], { sticky })]]));
    expect(pass(pool, wish("alice"))).toBe("c");
    open.release();
    expect(pool.members.map(({ active }) => active)).toEqual([0]);
    stand.pools.use(new Map());
    expect(stand.pools.describe()).toEqual([]);
    expect(stand.pools.get("pool")).toBeUndefined();
  });

  test.each(["round-robin", "least-connections", "latency", "random", "hash", "first"] as const)(
    "in the middle of the turns of %s leaves a choice among all members that there are then",
    (balance) => {
      const stand = new PoolStand();
      const pool = stand.open(makePoolPlan(["a", "b", "c"], { balance }));
      const lists = [["a", "b", "c"], ["b", "c"], ["c", "a", "b"], ["b"], ["d", "c", "b"]];
      for (const [round, names] of [...lists, ...lists].entries()) {
        for (let turn = 0; turn < round; turn++) pass(pool, wish(`key ${turn}`));
        pool.use(makePoolPlan(names, { balance }));
        const chosen = Array.from({ length: 60 }, (_, key) => pass(pool, wish(`key ${key}`)));
        expect(chosen.filter((name) => !names.includes(name))).toEqual([]);
        if (balance === "round-robin" || balance === "hash") expect(new Set(chosen).size).toBe(names.length);
      }
    },
  );

  test("a member of the same name at another address is another one", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a"], { eject }));
    take(pool).failed("connection_refused");
    const elsewhere = { ...makeMember("a"), way: makeMember("elsewhere").way };
    pool.use(makePoolPlan([elsewhere], { eject }));
    expect(pass(pool)).toBe("a");
  });
});

describe("the queue of a pool", () => {
  /** Waits for a member and notes when there is one. */
  function wait(pool: Pool, client: string, served: string[]): void {
    pool.wait(client, () => {
      const use = pool.take(wish(client));
      if (typeof use === "string") return false;
      served.push(client);
      use.connected();
      return true;
    });
  }

  test("is served when a connection ends, once each", () => {
    const pool = new PoolStand().open(makePoolPlan([makeMember("a", { maxConnections: 2 })]));
    const served: string[] = [];
    const open = [take(pool), take(pool)];
    wait(pool, "one", served);
    wait(pool, "two", served);
    expect(served).toEqual([]);
    open[0]?.release();
    expect(served).toEqual(["one"]);
    open[1]?.release();
    expect(served).toEqual(["one", "two"]);
    expect(pool.waiting).toBe(0);
    expect(pool.members[0]?.active).toBe(2);
  });

  test("is served when an operator enables a member, and when it is woken after an ejection", () => {
    const stand = new PoolStand();
    const pool = stand.open(makePoolPlan(["a"], { eject }));
    const served: string[] = [];
    pool.disable("a", true);
    wait(pool, "one", served);
    pool.disable("a", false);
    expect(served).toEqual(["one"]);
    take(pool).failed("connection_refused");
    wait(pool, "two", served);
    stand.now += 10_000;
    pool.wake();
    expect(served).toEqual(["one", "two"]);
  });
});
