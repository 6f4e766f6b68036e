import { describe, expect, test } from "bun:test";
import { CountTable } from "../../../../src/proxy/limit/count-table.ts";
import type { Limits } from "../../../../src/proxy/limit/limits.ts";
import { RequestLimits } from "../../../../src/proxy/limit/request-limits.ts";
import { compileForTest } from "../../../support/compile-for-test.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";
import { makeIp } from "../../../support/make-policy.ts";

const [near, far] = [makeIp("192.0.2.1"), makeIp("198.51.100.1")];
const target = makeEndpoint("example.org:443");

function compile(limits: Record<string, unknown>, more: Record<string, unknown> = {}): Limits {
  return compileForTest({ listen: ["127.0.0.1:0"], limits, ...more }).runtime.limits;
}

describe("RequestLimits", () => {
  test("refuses a client over its rate, says when to ask again, and lets others in", () => {
    const limits = compile({ perClient: { rate: "2/m" } });
    const requests = new RequestLimits();
    expect([requests.arrive(near, limits, 0), requests.arrive(near, limits, 0)]).toEqual([undefined, undefined]);
    expect(requests.arrive(near, limits, 10_000)).toEqual({
      detail: "rate_exceeded",
      limit: "perClient.rate",
      note: "from this address",
      retryAfterSeconds: 20,
    });
    expect(requests.arrive(far, limits, 10_000)).toBeUndefined();
    expect(requests.arrive(near, limits, 29_999)?.retryAfterSeconds).toBe(1);
    expect(requests.arrive(near, limits, 30_000)).toBeUndefined();
  });

  test("counts a network as one client, and an IPv4-mapped address as the address in it", () => {
    const limits = compile({ perClient: { rate: "1/h" } });
    const requests = new RequestLimits();
    expect(requests.arrive(makeIp("2001:db8::1"), limits, 0)).toBeUndefined();
    expect(requests.arrive(makeIp("2001:db8::2"), limits, 0)?.note).toBe(
      "from 2001:db8::/64, which counts as one client",
    );
    expect(requests.arrive(makeIp("2001:db8:0:1::2"), limits, 0)).toBeUndefined();
    expect(requests.arrive(near, limits, 0)).toBeUndefined();
    expect(requests.arrive(makeIp("::ffff:192.0.2.1"), limits, 0)?.limit).toBe("perClient.rate");
  });

  test("takes nothing of everybody for strangers, and refuses them once nothing is left", () => {
    const limits = compile({ rate: "2/h" });
    const requests = new RequestLimits();
    for (let i = 0; i < 100; i += 1) expect(requests.arrive(near, limits, 0)).toBeUndefined();
    expect([requests.takeUser("ann", limits, 0), requests.takeUser(undefined, limits, 0)]).toEqual([
      undefined,
      undefined,
    ]);
    // Both passed the first look before the last token was taken.
    expect(requests.takeUser("ann", limits, 0)).toEqual({
      detail: "rate_exceeded",
      limit: "rate",
      note: "in all",
      retryAfterSeconds: 1800,
    });
    expect(requests.arrive(far, limits, 0)?.limit).toBe("rate");
  });

  test("a client that is refused takes nothing of users and of everybody", () => {
    const limits = compile({ rate: "3/h", perClient: { rate: "1/h" } });
    const requests = new RequestLimits();
    const serve = (ip = near) => requests.arrive(ip, limits, 0) ?? requests.takeUser("ann", limits, 0);
    expect(serve()).toBeUndefined();
    for (let i = 0; i < 50; i += 1) expect(serve()?.limit).toBe("perClient.rate");
    expect([serve(far)?.limit, serve(makeIp("203.0.113.1"))?.limit, serve(makeIp("203.0.113.2"))?.limit]).toEqual([
      undefined,
      undefined,
      "rate",
    ]);
  });

  test("names the limit for which the wait is longest", () => {
    const requests = new RequestLimits();
    const slowClient = compile({ rate: "1/s", perClient: { rate: "1/h" }, perUser: { rate: "1/m" } });
    expect(requests.arrive(near, slowClient, 0)).toBeUndefined();
    expect(requests.takeUser("ann", slowClient, 0)).toBeUndefined();
    expect(requests.arrive(near, slowClient, 0)).toMatchObject({ limit: "perClient.rate", retryAfterSeconds: 3600 });
    expect(requests.takeUser("ann", slowClient, 0)).toMatchObject({ limit: "perUser.rate", retryAfterSeconds: 60 });
    const slowAll = compile({ rate: "1/h", perClient: { rate: "1/s" }, perUser: { rate: "1/s" } });
    expect(requests.arrive(near, slowAll, 0)).toMatchObject({ limit: "rate", retryAfterSeconds: 3600 });
    expect(requests.takeUser("ann", slowAll, 0)).toMatchObject({ limit: "rate", retryAfterSeconds: 3600 });
  });

  test("gives users their own rate, and those without one that of everyone", () => {
    const users = [
      { name: "ci", password: "one", limits: { rate: "3/h" } },
      { name: "ann", password: "two" },
    ];
    const limits = compile({ perUser: { rate: "1/h" } }, { users });
    const requests = new RequestLimits();
    const count = (user: string) =>
      Array.from({ length: 9 }, () => requests.takeUser(user, limits, 0)).filter((each) => each === undefined).length;
    expect([count("ci"), count("ann"), count("bob")]).toEqual([3, 1, 1]);
    expect(requests.takeUser("ci", limits, 0)).toMatchObject({ limit: "perUser.rate", note: "for this user" });
    expect(requests.takeUser(undefined, limits, 0)).toBeUndefined();
  });

  test("counts what goes to a target, and charges its rate only when there is room", () => {
    const limits = compile({ perTarget: { connections: 1, rate: "2/h" } });
    const requests = new RequestLimits();
    const take = () => requests.takeTarget(target, limits, 0);
    const first = take();
    expect(first).toHaveProperty("slot.release");
    for (let i = 0; i < 5; i += 1)
      expect(take()).toMatchObject({ failure: { detail: "too_many_connections", limit: "perTarget.connections" } });
    if ("slot" in first) for (let i = 0; i < 3; i += 1) first.slot?.release();
    const second = take();
    expect(second).toHaveProperty("slot.release");
    if ("slot" in second) second.slot?.release();
    expect(take()).toMatchObject({
      failure: { detail: "rate_exceeded", limit: "perTarget.rate", retryAfterSeconds: 1800 },
    });
    expect(requests.takeTarget(makeEndpoint("example.org:80"), limits, 0)).toHaveProperty("slot.release");
    expect([...requests.targetCounts.entries()]).toHaveLength(1);
  });

  test("takes all that a planned request needs, or nothing, and gives it back", () => {
    const limits = compile({
      rate: "4/h",
      perClient: { rate: "5/h" },
      perUser: { rate: "2/h" },
      perTarget: { connections: 9, rate: "9/h" },
    });
    const requests = new RequestLimits();
    const asked = { client: near, user: "ann", target };
    const undone = requests.takeWhole(asked, limits, 0);
    if (undone === false) throw new Error("There was room");
    requests.giveBackWhole(undone);
    const taken = [0, 1, 2, 3].map(() => requests.takeWhole(asked, limits, 0));
    expect(taken.map((each) => each !== false)).toEqual([true, true, false, false]);
    const used = [
      requests.all,
      ...[requests.clients, requests.users, requests.targets].map((each) => each.entries().next().value?.value),
    ];
    expect(used.map((bucket) => bucket?.usedAt(0))).toEqual([2, 2, 2, 2]);
    expect(Array.from(requests.targetCounts.entries(), ({ holds }) => holds)).toEqual([2]);
    // What refused it says so in the stages.
    expect(requests.arrive(near, limits, 0)).toBeUndefined();
    expect(requests.takeUser("ann", limits, 0)?.limit).toBe("perUser.rate");
  });

  test("asks nothing of requests when nothing is limited", () => {
    expect(compile({ connections: 5, perUser: { connections: 2 } }).hasRequestLimits).toBe(false);
    for (const limits of [
      { rate: "1/s" },
      { perUser: { rate: "1/s" } },
      { perClient: { rate: "1/s" } },
      { perTarget: { connections: 1 } },
      { perTarget: { rate: "1/s" } },
    ])
      expect(compile(limits).hasRequestLimits).toBe(true);
    const users = [{ name: "ci", password: "one", limits: { rate: "3/h" } }];
    expect(compile({}, { users }).hasRequestLimits).toBe(true);
  });

  test("a flood of clients takes no more memory than its tables have entries", () => {
    const limits = compile({ perClient: { rate: "2/m" }, perTarget: { connections: 10, rate: "100/s" } });
    const requests = new RequestLimits(1000);
    const steady = () => requests.arrive(near, limits, 0);
    expect([steady(), steady(), steady()?.limit]).toEqual([undefined, undefined, "perClient.rate"]);
    const targets = Array.from({ length: 5000 }, (_, i) => makeEndpoint(`h${i}.example:443`));
    for (let i = 0; i < 200_000; i += 1) {
      const ip = { ...far, text: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` };
      requests.arrive(ip, limits, 0);
      const place = requests.takeTarget(targets[i % 5000] ?? target, limits, i);
      if ("slot" in place) place.slot?.release();
      // It is used more often than the table turns over, so it stays.
      if (i % 500 === 0) expect(steady()?.limit).toBe("perClient.rate");
    }
    expect([requests.clients.size, requests.targets.size, [...requests.targetCounts.entries()].length]).toEqual([
      1000, 1000, 0,
    ]);
  });
});

test("a client over its rate stays so, however many others come before it asks again", () => {
  const limits = compile({ perClient: { rate: "20/h" } });
  const requests = new RequestLimits(1000);
  for (let i = 0; i < 20; i += 1) expect(requests.arrive(near, limits, 0)).toBeUndefined();
  for (let i = 0; i < 100_000; i += 1) {
    const ip = { ...far, text: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` };
    requests.arrive(ip, limits, i);
    // Some come more than once.
    if (i % 3 === 0) requests.arrive(ip, limits, i);
  }
  expect(requests.arrive(near, limits, 100_000)?.limit).toBe("perClient.rate");
  expect(requests.clients.size).toBe(1000);
});

describe("CountTable", () => {
  test("keeps the limit, and forgets who holds nothing", () => {
    const counts = new CountTable(2);
    counts.add("a");
    expect([counts.hasRoom("a", 2), counts.hasRoom("a", 1), counts.hasRoom("b", 1), counts.hasRoom("b", 0)]).toEqual([
      true,
      false,
      true,
      false,
    ]);
    counts.giveBack("a");
    counts.giveBack("a");
    expect([...counts.entries()]).toEqual([]);
  });

  test("gives no more than its lease, or an even part while there is none", () => {
    const counts = new CountTable();
    const changed: string[] = [];
    counts.changed = (key) => changed.push(key);
    counts.parts = 2;
    counts.add("a");
    expect([counts.hasRoom("a", 3), counts.hasRoom("a", 2)]).toEqual([true, false]);
    counts.lend("a", 4);
    expect([counts.hasRoom("a", 9), counts.hasRoom("a", 1)]).toEqual([true, false]);
    counts.lend("a", 1);
    expect(counts.hasRoom("a", 9)).toBe(false);
    expect(changed).toEqual(["a", "a", "a", "a"]);
    counts.giveBack("a");
    counts.lend("a", 1);
    counts.add("a");
    // It is another holder now: the lease was for the one before.
    expect(counts.hasRoom("a", 9)).toBe(true);
  });
});
