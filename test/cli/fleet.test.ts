import { describe, expect } from "bun:test";
import { openTunnel } from "../support/ask-tunnel.ts";
import { findExecutable } from "../support/build-executable.ts";
import { type ServingExecutable, startExecutable } from "../support/executable.ts";
import { needs } from "../support/needs.ts";
import { startFamily, writeConfig } from "../support/proxy-family.ts";
import { listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { openRedis } from "../support/redis-server.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

const test = needs("redis-server");
const CI = "ci:secret";

/** Two executables that share a Redis, and know of each other. */
async function startPair(limits: object) {
  const redis = await openRedis();
  const config = (name: string) =>
    writeConfig({
      users: [{ name: "ci", password: "secret" }],
      limits,
      state: { folder: name, redis: `redis://127.0.0.1:${redis.port}` },
      spliceAfter: "64KiB",
    });
  const [first, second] = [await makeFolder(config("one")), await makeFolder(config("two"))];
  const one = await startExecutable({ cwd: first.path });
  const two = await startExecutable({ cwd: second.path });
  // A heartbeat of each after both were there.
  await waitFor(async () => (await redis.run("ZCARD", "penstock:proxies")) === "2", "both to be there");
  await Bun.sleep(1100);
  return {
    redis,
    one,
    two,
    async [Symbol.asyncDispose]() {
      for (const each of [one, two, redis, first, second]) await each[Symbol.asyncDispose]();
    },
  };
}

/** The access lines so far. */
function listRecords({ stdout }: Pick<ServingExecutable, "stdout">): Record<string, unknown>[] {
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function countBytes(records: readonly Record<string, unknown>[]): number {
  return records.reduce((sum, record) => sum + Number(record["bytes_up"]) + Number(record["bytes_down"]), 0);
}

/** Opens tunnels until one is refused. */
async function openAll(port: number, target: string): Promise<RawPeer[]> {
  const peers: RawPeer[] = [];
  for (;;) {
    try {
      peers.push(await openTunnel(port, target, CI));
    } catch (error) {
      expect(String(error)).toContain("HTTP/1.1 429 ");
      return peers;
    }
  }
}

describe("two executables that share Redis", () => {
  test("count use to the byte of their access lines, and keep one quota", async () => {
    await using pair = await startPair({ perUser: { bytes: { day: "40MB" } } });
    const { redis, one, two } = pair;
    using origin = listenEcho();
    const target = `127.0.0.1:${origin.port}`;
    const run = async (proxy: ServingExecutable) => {
      for (let tunnel = 0; tunnel < 60; tunnel += 1) {
        const peer = await openTunnel(proxy.port, target, CI);
        const bytes = 1 + Math.floor(Math.random() * 300_000);
        peer.consume = () => {};
        peer.write(Buffer.alloc(bytes, "x"));
        await peer.until(({ receivedBytes }) => receivedBytes === bytes, "the echo");
        peer.finish();
        await peer.untilEnd();
      }
    };
    await Promise.all([run(one), run(two)]);
    const lines = await waitFor(() => {
      const all = [...listRecords(one), ...listRecords(two)];
      return all.length === 120 && all;
    }, "a line of each tunnel");
    const [day = ""] = new Date().toISOString().split("T");
    const readSum = () => redis.run("HGET", `penstock:use:day:${day}`, "ci");
    const sum = countBytes(lines);
    await waitFor(async () => (await readSum()) === String(sum), `${sum} bytes in Redis`);
    // The rest of the quota, and a byte: nobody is let in after that.
    const peer = await openTunnel(one.port, target, CI);
    peer.consume = () => {};
    const rest = Math.ceil((40_000_000 - sum) / 2);
    peer.write(Buffer.alloc(rest, "x"));
    await peer.until(({ receivedBytes }) => receivedBytes === rest, "the echo");
    await waitFor(async () => Number(await readSum()) >= 40_000_000, "the quota to be used up");
    await waitFor(
      async () => (await tryTunnel(two.port, target)).includes("quota_exceeded perUser.bytes.day"),
      "a refusal",
    );
    peer.finish();
  }, 60_000);

  test("count a tunnel once that moves to the next process, with and without a folder for use", async () => {
    await using redis = await openRedis();
    using origin = listenEcho();
    for (const state of [{ folder: "state" }, {}]) {
      const prefix = `${Object.keys(state).length}:`;
      await using folder = await makeFolder(
        writeConfig({
          users: [{ name: "ci", password: "secret", limits: { connections: 50, bytes: { day: "1GB" } } }],
          state: { ...state, prefix, redis: `redis://127.0.0.1:${redis.port}` },
        }),
      );
      await using family = await startFamily(folder, [await findExecutable()]);
      const peers = await Promise.all(
        [1000, 50_000, 2_000_000].map(async (bytes) => {
          const peer = await openTunnel(family.port, `127.0.0.1:${origin.port}`, CI);
          peer.write(Buffer.alloc(bytes, "x"));
          await peer.until(({ receivedBytes }) => receivedBytes === bytes, "the echo");
          return peer;
        }),
      );
      const pid = family.pids.at(-1) ?? 0;
      expect((await family.handOver()).code).toBe(0);
      await family.untilGone(pid);
      for (const peer of peers) {
        peer.write("once more");
        await peer.untilText("once more");
      }
      const readHeld = () => redis.run("HVALS", `${prefix}connections:users:ci`);
      await waitFor(async () => (await readHeld()) === "3 50", "the connections of the new process alone");
      for (const peer of peers) peer.finish();
      await Promise.all(peers.map((peer) => peer.untilEnd()));
      const [day = ""] = new Date().toISOString().split("T");
      const sum = 2 * (2_051_000 + 3 * 9);
      await waitFor(
        async () => (await redis.run("HGET", `${prefix}use:day:${day}`, "ci")) === String(sum),
        `${sum} bytes in Redis`,
      );
    }
  }, 60_000);

  test("go on when Redis is stopped, and when one of them is killed the other has its connections", async () => {
    await using pair = await startPair({ perUser: { connections: 20 } });
    const { redis, one, two } = pair;
    using origin = listenEcho();
    const target = `127.0.0.1:${origin.port}`;
    const held = [await openTunnel(one.port, target, CI), await openTunnel(two.port, target, CI)];
    await waitFor(
      async () => (await redis.run("HLEN", "penstock:connections:users:ci")) === "2",
      "the connections to be told",
    );
    await waitFor(async () => {
      const leases = (await redis.run("HVALS", "penstock:connections:users:ci"))
        .split("\n")
        .map((line) => line.split(" "));
      return leases.reduce((sum, [, lease]) => sum + Number(lease), 0) === 20;
    }, "the leases to be parts of the limit");
    redis.signal("SIGSTOP");
    held.push(...(await openAll(one.port, target)), ...(await openAll(two.port, target)));
    expect(held.length).toBe(20);
    expect(await two.untilTold("did not answer within 2 s")).toContain('("state.redis")');
    redis.signal("SIGCONT");
    await two.untilTold("can be used again");
    process.kill(one.pid, "SIGKILL");
    await one.exited;
    await waitFor(
      async () => {
        held.push(...(await openAll(two.port, target)));
        return held.filter((peer) => !peer.closed).length === 20;
      },
      "the connections of the one that died",
      20_000,
    );
  }, 60_000);
});

async function tryTunnel(port: number, target: string): Promise<string> {
  try {
    (await openTunnel(port, target, CI)).finish();
    return "";
  } catch (error) {
    return String(error);
  }
}
