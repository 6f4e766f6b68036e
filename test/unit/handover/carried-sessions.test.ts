import { describe, expect, test } from "bun:test";
import { carrySessions } from "../../../src/handover/carried-sessions.ts";
import type { JsonValue } from "../../../src/protocol/handover/json-value.ts";
import { makeMember, makePoolPlan, pass, PoolStand, take, wish } from "../../support/make-pool.ts";

const MIB = 1024 * 1024;

/** What arrives of a value in another process. */
const send = (value: JsonValue): JsonValue => JSON.parse(JSON.stringify(value)) as JsonValue;

const sticky = makePoolPlan(["a", "b", "c"], { sticky: { by: "session", forMs: 60_000 } });

function stand(plan = sticky) {
  const pools = new PoolStand();
  const pool = pools.open(plan);
  return { pools, pool, carried: carrySessions(pools.carried) };
}

/** Gives `count` sessions their members, one after the other. */
function begin({ pools, pool }: ReturnType<typeof stand>, count: number, nameOf = (at: number) => `s${at}`): string[] {
  return Array.from({ length: count }, (_, at) => {
    pools.now += 1;
    return pass(pool, wish(nameOf(at)));
  });
}

describe("carried sessions", () => {
  test("keep their members, and the time since their last use", () => {
    const old = stand();
    const members = begin(old, 9);
    old.pools.now += 30_000;
    const next = stand();
    expect(next.carried.restore(send(old.carried.save()), 0)).toBe(true);
    for (const [at, member] of members.entries()) expect(pass(next.pool, wish(`s${at}`))).toBe(member);
    expect(next.pools.events).toEqual([]);
    const late = stand();
    late.carried.restore(send(old.carried.save()), 0);
    late.pools.now += 30_001;
    // The last one is a millisecond younger than what is forgotten.
    expect([...late.pool.sessions.list(60_000, late.pools.now)]).toHaveLength(0);
    expect(late.pool.sessions.find("s8", 60_000, late.pools.now - 2)?.name).toBe(members[8] as string);
  });

  test("that are in use do not end with their time in the process before", () => {
    const old = stand();
    const use = take(old.pool, wish("long"));
    use.connected();
    old.pools.now += 120_000;
    const next = stand();
    next.carried.restore(send(old.carried.save()), 0);
    expect(pass(next.pool, wish("long"))).toBe(use.member.name);
  });

  test("leave out those whose member is gone, or is at another address, and those of pools that are not sticky", () => {
    const old = stand();
    const members = begin(old, 30);
    const saved = send(old.carried.save());
    const moved = makeMember("b", { way: makeMember("elsewhere").way });
    const next = stand(makePoolPlan([makeMember("a"), moved], { sticky: { by: "session", forMs: 60_000 } }));
    expect(next.carried.restore(saved, 0)).toBe(true);
    expect(next.pool.sessions.size).toBe(members.filter((member) => member === "a").length);
    const plain = stand(makePoolPlan(["a", "b", "c"]));
    expect(plain.carried.restore(saved, 0)).toBe(true);
    expect(plain.pool.sessions.size).toBe(0);
    const other = new PoolStand();
    expect(carrySessions(other.carried).restore(saved, 0)).toBe(true);
  });

  test("that were used here later stay as they are", () => {
    const old = stand();
    begin(old, 3);
    const next = stand();
    next.carried.restore(send(old.carried.save()), 0);
    old.pools.now += 10;
    next.pools.now += 20;
    next.pool.disable("a", true);
    const here = ["s0", "s1", "s2"].map((name) => pass(next.pool, wish(name)));
    next.pool.disable("a", false);
    old.pools.now += 20;
    next.pools.now += 20;
    next.carried.restore(send(old.carried.save()), 0);
    expect(["s0", "s1", "s2"].map((name) => pass(next.pool, wish(name)))).toEqual(here);
  });

  test("are those alone at the end that were used since the offer", () => {
    const old = stand();
    begin(old, 5);
    old.pools.now += 1;
    old.carried.save();
    old.pools.now += 5;
    pass(old.pool, wish("s2"));
    pass(old.pool, wish("new"));
    const next = stand();
    next.carried.restore(send(old.carried.save("offer")), 0);
    expect([...next.pool.sessions.list(60_000, next.pools.now)].map(({ key }) => key).sort()).toEqual(["new", "s2"]);
  });

  test("of full tables fit into the messages, those that were used last first, and none is lost", () => {
    const names = ["one", "two"].map((name) => ({ ...sticky, name }));
    const old = new PoolStand();
    const [one, two] = names.map((plan) => old.open(plan));
    if (one === undefined || two === undefined) throw new Error("no pools");
    const nameOf = (at: number): string => `session ${"x".repeat(60)}${at} somebody-with-a-name@example.org`;
    for (let at = 0; at < 50_000; at += 1) {
      old.now += 1;
      pass(one, wish(nameOf(at)));
      pass(two, wish(nameOf(at)));
    }
    const plenty = names.map((plan) => ({ ...plan, sticky: { by: "session", forMs: 10_000_000 } as const }));
    for (const plan of plenty) old.open(plan);
    const carried = carrySessions(old.carried);
    const offer = JSON.stringify(carried.save());
    const rest = [...(carried.rest?.() ?? [])].map((part) => JSON.stringify(part));
    expect(offer.length).toBeLessThanOrEqual(4.1 * MIB);
    expect(rest.length).toBeGreaterThan(1);
    for (const part of rest) expect(part.length).toBeLessThanOrEqual(0.6 * MIB);
    const next = new PoolStand();
    next.now = old.now;
    const heirs = plenty.map((plan) => next.open(plan));
    const heir = carrySessions(next.carried);
    expect(heir.restore(JSON.parse(offer) as JsonValue, 0)).toBe(true);
    for (const pool of heirs) {
      expect(pool.sessions.find(nameOf(49_999), 10_000_000, next.now)).toBeDefined();
      expect(pool.sessions.find(nameOf(0), 10_000_000, next.now)).toBeUndefined();
    }
    for (const part of rest) expect(heir.restore(JSON.parse(part) as JsonValue, 0)).toBe(true);
    expect(heirs.map(({ sessions }) => sessions.size)).toEqual([50_000, 50_000]);
    // The order by the last use is the same.
    const keysOf = (pool: typeof one): string[] => [...pool.sessions.list(10_000_000, old.now)].map(({ key }) => key);
    expect(keysOf(heirs[0] as typeof one)).toEqual(keysOf(one));
  });

  test("with odd keys arrive as they are, and those that are too long are left out", () => {
    const old = stand();
    const odd = ['session "q" \\', "session \u0000\n", "session ü💥", "user __proto__", "__proto__"];
    for (const key of odd) pass(old.pool, wish(key));
    pass(old.pool, wish("x".repeat(1025)));
    const next = stand();
    expect(next.carried.restore(send(old.carried.save()), 0)).toBe(true);
    const keys = [...next.pool.sessions.list(60_000, next.pools.now)].map(({ key }) => key);
    expect(keys.sort()).toEqual([...odd].sort());
  });

  test("of members with any name arrive", () => {
    const plan = makePoolPlan(["__proto__", "constructor"], { name: "toString", sticky: sticky.sticky as never });
    const old = stand(plan);
    const members = begin(old, 4);
    const next = stand(plan);
    expect(next.carried.restore(send(old.carried.save()), 0)).toBe(true);
    expect([0, 1, 2, 3].map((at) => pass(next.pool, wish(`s${at}`)))).toEqual(members);
  });

  test("take no other shape", () => {
    const { carried, pool } = stand();
    const members = [["a", "a http a.example:3128"]];
    expect(carried.restore({ pool: { members, sessions: "0 1 1 k" } }, 0)).toBe(true);
    for (const bad of [
      null,
      [],
      { pool: [] },
      { pool: { members, sessions: [] } },
      { pool: { members: [["a"]], sessions: "" } },
      ...["0 1 2 k", "0", "0 1", "0 1 1", "0 1 k", "1 1 1 k", "-1 1 1 k", "x 1 1 k", "0 0.5 1 k", "0 1 1 kk"].map(
        (sessions) => ({
          pool: { members, sessions },
        }),
      ),
    ])
      expect(carried.restore(bad, 0)).toBe(false);
    expect(pool.sessions.size).toBe(1);
  });
});
