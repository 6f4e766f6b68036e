import { describe, expect } from "bun:test";
import { openFleet } from "../support/fleet-stand.ts";
import { needs } from "../support/needs.ts";
import { openRedis } from "../support/redis-server.ts";
import { openSlowRelay } from "../support/slow-relay.ts";
import { waitFor } from "../support/wait-for.ts";

const test = needs("redis-server");

/** Both know of each other. */
async function untilTogether(...members: readonly { readonly fleet: { readonly proxies: number } }[]): Promise<void> {
  await waitFor(() => members.every(({ fleet }) => fleet.proxies === members.length), "the members to meet");
}

describe("connections of two proxies that share Redis", () => {
  test("a proxy may open all of a limit that nobody else uses", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one" });
    await using two = openFleet({ port: redis.port, id: "two" });
    await untilTogether(one, two);
    let taken = 0;
    while (one.counts.take("user:ci")) taken += 1;
    // Its even share at once, the rest as soon as Redis has answered.
    expect(taken).toBe(5);
    await one.fleet.exchanged();
    while (one.counts.take("user:ci")) taken += 1;
    expect(taken).toBe(10);
    await one.fleet.exchanged();
    // The other one has its even share until it has asked, and nothing after that.
    expect(two.counts.take("user:ci")).toBe(true);
    await two.fleet.exchanged();
    expect(two.counts.take("user:ci")).toBe(false);
  });

  test("both together keep the limit when connections come and go at random", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one", limit: 40, timing: { everyMs: 5 } });
    await using two = openFleet({ port: redis.port, id: "two", limit: 40, timing: { everyMs: 5 } });
    await untilTogether(one, two);
    let [most, refused] = [0, 0];
    for (let turn = 0; turn < 3000; turn += 1) {
      const { counts } = turn % 2 === 0 ? one : two;
      const held = counts.read("user:ci").held;
      if (Math.random() < 0.6 || held === 0) refused += counts.take("user:ci") ? 0 : 1;
      else counts.give("user:ci");
      most = Math.max(most, one.counts.read("user:ci").held + two.counts.read("user:ci").held);
      if (turn % 10 === 0) await Bun.sleep(1);
    }
    expect(refused).toBeGreaterThan(0);
    expect(most).toBeGreaterThanOrEqual(36);
    expect(most).toBeLessThanOrEqual(40);
  });

  test("the connections of a proxy that died count until it has been silent for the time", async () => {
    await using redis = await openRedis();
    const timing = { silenceMs: 300, restMs: 50, everyMs: 20 };
    await using one = openFleet({ port: redis.port, id: "one", timing });
    {
      const relay = await openSlowRelay(redis.port, 0);
      await using two = openFleet({ port: relay.port, id: "two", timing });
      await untilTogether(one, two);
      for (let count = 0; count < 5; count += 1) two.counts.take("user:ci");
      await two.fleet.exchanged();
      one.counts.take("user:ci");
      await waitFor(() => one.counts.room("user:ci") <= 8, "the lease to know of the others");
      // Cut off, as a machine that loses its power.
      await relay[Symbol.asyncDispose]();
    }
    await waitFor(() => one.fleet.proxies === 1 && one.counts.room("user:ci") === 10, "its connections to be free");
  });
});

describe("rates of two proxies that share Redis", () => {
  test("both together take what the bucket has and what the rate brings", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one", rate: 100, burst: 100 });
    await using two = openFleet({ port: redis.port, id: "two", rate: 100, burst: 100 });
    await untilTogether(one, two);
    const began = performance.now();
    let taken = 0;
    while (performance.now() - began < 3000) {
      for (const { rates } of [one, two]) while (rates.take("user:ci")) taken += 1;
      await Bun.sleep(1);
    }
    const allowed = 100 + ((performance.now() - began) * 100) / 1000;
    expect(taken).toBeGreaterThan(allowed * 0.93);
    expect(taken).toBeLessThanOrEqual(allowed * 1.03);
  });

  test("a proxy that alone uses a key has the whole rate", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one", rate: 200, burst: 20 });
    await using two = openFleet({ port: redis.port, id: "two", rate: 200, burst: 20 });
    await untilTogether(one, two);
    const began = performance.now();
    let taken = 0;
    while (performance.now() - began < 2000) {
      while (one.rates.take("user:ci")) taken += 1;
      await Bun.sleep(1);
    }
    const allowed = 20 + ((performance.now() - began) * 200) / 1000;
    expect(taken).toBeGreaterThan(allowed * 0.93);
    expect(taken).toBeLessThanOrEqual(allowed * 1.03);
  });

  test("an empty bucket of a low rate fills, however often it is asked for a token", async () => {
    await using redis = await openRedis();
    // Between two exchanges comes less than a thousandth of a token.
    await using one = openFleet({ port: redis.port, id: "one", rate: 0.002, burst: 2 });
    await one.fleet.exchanged();
    while (one.rates.take("user:ci"));
    const read = async () => Number(await redis.run("HGET", "penstock:rate:user:ci", "t"));
    const ask = async () => {
      one.rates.take("user:ci");
      await one.fleet.exchanged();
      return read();
    };
    await waitFor(async () => (await ask()) < 0.1, "Redis to know");
    const before = await read();
    await waitFor(async () => (await ask()) > before + 0.001, "what the rate brings in half a second");
  });

  test("an exchange whose answer is lost counts once", async () => {
    await using redis = await openRedis();
    await using relay = await openSlowRelay(redis.port, 0);
    // So slow that nothing comes back meanwhile.
    await using one = openFleet({ port: relay.port, id: "one", rate: 0.01, burst: 100 });
    await one.fleet.exchanged();
    relay.losesAnswers = true;
    for (let count = 0; count < 30; count += 1) one.rates.take("user:ci");
    await waitFor(() => one.fleet.fault !== undefined, "the link to fail");
    relay.losesAnswers = false;
    await waitFor(() => one.fleet.fault === undefined, "the link to be back");
    await one.fleet.exchanged();
    expect(Number(await redis.run("HGET", "penstock:rate:user:ci", "t"))).toBeCloseTo(70, 0);
  });
});

describe("use of two proxies that share Redis", () => {
  test("each knows the sum, to the byte", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one" });
    await using two = openFleet({ port: redis.port, id: "two" });
    let sum = 0;
    for (let turn = 0; turn < 2000; turn += 1) {
      const bytes = Math.floor(Math.random() * 1e9);
      sum += bytes;
      (turn % 3 === 0 ? one : two).bytes.add("ci", bytes);
      if (turn % 20 === 0) await Bun.sleep(1);
    }
    await waitFor(() => one.bytes.total("ci") === sum && two.bytes.total("ci") === sum, "both to know the sum");
    expect(await redis.run("HGET", "penstock:use:day:2026-11-28", "ci")).toBe(String(sum));
  });

  test("what was used in a span that a reload brings is told, although its user uses nothing more", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one" });
    await one.fleet.exchanged();
    // Not used lately.
    one.bytes.mine.set("ci", 1000);
    one.bytes.spans = ["day:2026-11-28", "month:2026-11-01"];
    await waitFor(async () => (await redis.run("HGET", "penstock:use:month:2026-11-01", "ci")) === "1000", "the month");
  });

  test("a proxy that starts knows what everybody has used", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one" });
    for (let user = 0; user < 1200; user += 1) one.bytes.add(`user ${user}`, user + 1);
    await waitFor(() => !one.use.isBehind && one.fleet.exchanges > 3, "everything to be told");
    await one.fleet.exchanged();
    await using two = openFleet({ port: redis.port, id: "two" });
    await two.use.scanned;
    expect(two.bytes.elsewhere.size).toBe(1200);
    expect(two.bytes.total("user 1199")).toBe(1200);
  });

  test("what could not be told is told once when Redis is back, and what Redis has lost is told again", async () => {
    await using redis = await openRedis();
    await using one = openFleet({ port: redis.port, id: "one" });
    await using two = openFleet({ port: redis.port, id: "two" });
    one.bytes.add("ci", 1000);
    two.bytes.add("ci", 10);
    await waitFor(() => one.bytes.total("ci") === 1010 && two.bytes.total("ci") === 1010, "the sum");
    await redis.kill();
    one.bytes.add("ci", 500);
    await waitFor(() => one.fleet.fault !== undefined && two.fleet.fault !== undefined, "Redis to be missed");
    // The last known use of the others stays.
    expect(one.bytes.total("ci")).toBe(1510);
    await redis.restart();
    await waitFor(() => two.bytes.total("ci") === 1510, "the sum");
    expect(await redis.run("HGET", "penstock:use:day:2026-11-28", "ci")).toBe("1510");
  });
});
