import { describe, expect } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { needs } from "../support/needs.ts";
import { basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { openRedis, type RedisServer } from "../support/redis-server.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const test = needs("redis-server");
const CI = basic("ci", "secret-of-ci");

function configure(redis: RedisServer, config: PenstockConfig): PenstockConfig {
  return {
    users: [{ name: "ci", password: "secret-of-ci" }],
    ...config,
    state: { ...config.state, redis: `redis://127.0.0.1:${redis.port}` },
  };
}

async function openPair(redis: RedisServer, config: PenstockConfig, folders: readonly string[] = []) {
  const start = (at: number) => {
    const folder = folders[at];
    return startProxy(configure(redis, folder === undefined ? config : { ...config, state: { folder } }));
  };
  const one = await start(0);
  const two = await start(1);
  await waitFor(async () => {
    const both = await Promise.all([one.metrics(), two.metrics()]);
    return both.every((text) => text.includes("penstock_fleet_proxies 2\n"));
  }, "the proxies to meet");
  return {
    one,
    two,
    async [Symbol.asyncDispose]() {
      await one[Symbol.asyncDispose]();
      await two[Symbol.asyncDispose]();
    },
  };
}

/** Opens tunnels until one is refused, at most so many. */
async function openTunnels(proxy: TestProxy, port: number, most: number): Promise<RawPeer[]> {
  const peers: RawPeer[] = [];
  while (peers.length < most) {
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`, CI);
    if (!head.startsWith("HTTP/1.1 200 ")) {
      expect(head).toStartWith("HTTP/1.1 429 ");
      break;
    }
    peers.push(peer);
  }
  return peers;
}

async function send(proxy: TestProxy, port: number, bytes: number): Promise<string> {
  const { peer, head } = await proxy.tunnel(`127.0.0.1:${port}`, CI);
  if (!head.startsWith("HTTP/1.1 200 ")) return head;
  peer.write(Buffer.alloc(bytes, "x"));
  await peer.until(({ receivedBytes }) => receivedBytes === bytes, "the echo");
  peer.finish();
  await peer.untilEnd();
  return head;
}

describe("two proxies that share Redis", () => {
  for (const kept of ["in folders of their own", "only in Redis"])
    test(`have one quota, with use kept ${kept}`, async () => {
      await using redis = await openRedis();
      await using folder = await makeFolder();
      using origin = listenEcho();
      const folders = kept === "only in Redis" ? [] : [`${folder.path}/one`, `${folder.path}/two`];
      const config = { limits: { perUser: { bytes: { day: "10KB" } } } };
      await using pair = await openPair(redis, config, folders);
      const { one, two } = pair;
      expect(await send(one, origin.port, 2000)).toStartWith("HTTP/1.1 200 ");
      expect(await send(two, origin.port, 3000)).toStartWith("HTTP/1.1 200 ");
      const total = (span: string) => redis.run("HGET", `penstock:use:${span}`, "ci");
      const [day = ""] = new Date().toISOString().split("T");
      await waitFor(async () => (await total(`day:${day}`)) === "10000", "the sum in Redis");
      expect(await total(`month:${day.slice(0, 7)}-01`)).toBe("10000");
      for (const proxy of [one, two])
        await waitFor(async () => (await send(proxy, origin.port, 0)).startsWith("HTTP/1.1 429 "), "a refusal");
      // A third one knows before its first client.
      await using three = await startProxy(configure(redis, config));
      expect(await send(three, origin.port, 0)).toContain('details="quota_exceeded perUser.bytes.day: ');
    });

  test("have one number of connections for a user and for a target", async () => {
    await using redis = await openRedis();
    using origin = listenEcho();
    await using pair = await openPair(redis, {
      limits: { perUser: { connections: 12 }, perTarget: { connections: 9 } },
    });
    const { one, two } = pair;
    const first = await openTunnels(one, origin.port, 3);
    await waitFor(
      async () => (await redis.run("HVALS", "penstock:connections:users:ci")).startsWith("3 "),
      "the connections to be told",
    );
    const second = await openTunnels(two, origin.port, 20);
    expect(first.length + second.length).toBeWithin(7, 10);
    for (const peer of second) peer.finish();
    await waitFor(async () => {
      first.push(...(await openTunnels(one, origin.port, 1)));
      return first.length === 9;
    }, "the room that the other has left");
  });

  test("have one rate, however they share it", async () => {
    await using redis = await openRedis();
    using origin = listenEcho();
    await using pair = await openPair(redis, { limits: { rate: "40/s" } });
    const began = performance.now();
    let opened = 0;
    const run = async (proxy: TestProxy) => {
      while (performance.now() - began < 3000) {
        const { peer, head } = await proxy.tunnel(`127.0.0.1:${origin.port}`, CI);
        if (head.startsWith("HTTP/1.1 200 ")) opened += 1;
        peer.finish();
        await Bun.sleep(2);
      }
    };
    await Promise.all([run(pair.one), run(pair.two)]);
    const allowed = 40 + (40 * (performance.now() - began)) / 1000;
    expect(opened).toBeGreaterThan(allowed * 0.9);
    expect(opened).toBeLessThanOrEqual(allowed * 1.05);
  });

  test("lead a session to the same member of a pool", async () => {
    await using redis = await openRedis();
    using origin = listenEcho();
    await using member = await startProxy();
    await using other = await startProxy();
    const upstreams = {
      exit: {
        pool: [`http://127.0.0.1:${member.port}`, `http://127.0.0.1:${other.port}`],
        balance: "round-robin" as const,
        sticky: { by: "user" as const },
      },
    };
    const names = Array.from({ length: 8 }, (_, at) => `user-${at}`);
    const users = names.map((name) => ({ name, password: "secret" }));
    await using pair = await openPair(redis, { users, upstreams, default: "exit" });
    const findMember = async (proxy: TestProxy, name: string) => {
      const before = proxy.records.length;
      const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`, basic(name, "secret"));
      peer.finish();
      return JSON.stringify((await proxy.record(before))["member"]);
    };
    const first = new Map<string, string>();
    for (const name of names) first.set(name, await findMember(pair.one, name));
    await waitFor(async () => Number(await redis.run("XLEN", "penstock:sessions")) === 8, "the sessions to be told");
    await waitFor(
      async () => (await (await pair.two.ask("/upstreams")).text()).includes('"sessions":8'),
      "the sessions to be known",
    );
    for (const name of names.toReversed()) expect(await findMember(pair.two, name)).toBe(first.get(name) ?? "");
    expect(new Set(first.values()).size).toBe(2);
  });

  test("go on alone when Redis is gone, and say so", async () => {
    await using redis = await openRedis();
    using origin = listenEcho();
    await using pair = await openPair(redis, { limits: { perUser: { connections: 10 } } });
    const { one } = pair;
    await redis.kill();
    await waitFor(() => one.messages.find((line) => line.startsWith("Redis at")), "the message");
    expect((await openTunnels(one, origin.port, 20)).length).toBeWithin(5, 11);
    expect(await one.metrics()).toContain("penstock_redis_up 0\n");
    expect(await (await one.ask("/readyz")).text()).toContain('(\\"state.redis\\") ');
    await redis.restart();
    await waitFor(() => one.messages.find((line) => line.includes("can be used again")), "the message");
    expect(await one.metrics()).toContain("penstock_redis_up 1\n");
  });

  test("let nobody with a quota in before they know what was used, when use is kept only in Redis", async () => {
    await using redis = await openRedis();
    using origin = listenEcho();
    await redis.kill();
    await using proxy = await startProxy(configure(redis, { limits: { perUser: { bytes: { day: "10KB" } } } }));
    const refused = await send(proxy, origin.port, 10);
    expect(refused).toStartWith("HTTP/1.1 503 ");
    expect(refused).toContain("quota_unknown perUser.bytes.day: what was used is not known yet");
    await redis.restart();
    await waitFor(async () => (await send(proxy, origin.port, 10)).startsWith("HTTP/1.1 200 "), "the use to be known");
  });

  test("follow a reload to another server, and to none", async () => {
    await using redis = await openRedis();
    await using next = await openRedis();
    const config = (server: RedisServer) => configure(server, { limits: { perUser: { connections: 10 } } });
    await using proxy = await startProxy(config(redis));
    await waitFor(async () => (await redis.run("ZCARD", "penstock:proxies")) === "1", "the proxy to be there");
    expect(await proxy.reload(config(next))).toMatchObject({ kind: "done" });
    await waitFor(async () => (await next.run("ZCARD", "penstock:proxies")) === "1", "the proxy to be there");
    expect(await redis.run("ZCARD", "penstock:proxies")).toBe("0");
    expect(await proxy.reload({ users: [{ name: "ci", password: "secret-of-ci" }] })).toMatchObject({ kind: "done" });
    await waitFor(async () => (await next.run("ZCARD", "penstock:proxies")) === "0", "the proxy to be gone");
    expect(await proxy.metrics()).not.toContain("penstock_redis_up");
  });
});
