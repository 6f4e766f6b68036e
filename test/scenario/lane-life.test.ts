import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { LanedTunnel } from "../../src/net/linux/lane.ts";
import type { LanePool, LanePoolOptions } from "../../src/net/linux/lane-pool.ts";
import { openSocketPair } from "../../src/net/linux/socket.ts";
import { takeOverSocket } from "../../src/net/linux/take-over.ts";
import { requireLibc, startWarmLanes } from "../support/lane-stand.ts";
import { connectRaw, listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";

const libc = requireLibc();

interface Stand {
  readonly client: RawPeer;
  readonly target: RawPeer;
  readonly tunnel: LanedTunnel;
}

/** Makes a TCP connection of a test's own and the descriptor of its other end. */
async function connectToDescriptor(): Promise<{ peer: RawPeer; fd: number }> {
  using server = listenRaw();
  const [near, far] = await Promise.all([connectRaw(server.port), server.next()]);
  const { socket } = far;
  const { fd } = socket as unknown as { fd: number };
  server.stop();
  return {
    peer: near,
    fd: takeOverSocket(libc, {
      fd,
      pause: () => socket.pause(),
      resume: () => socket.resume(),
      close: () => socket.close(),
    }),
  };
}

async function stand(pool: LanePool, idleMs = 0): Promise<Stand> {
  const [client, target] = await Promise.all([connectToDescriptor(), connectToDescriptor()]);
  expect(pool.hasRoom()).toBe(true);
  return {
    client: client.peer,
    target: target.peer,
    tunnel: pool.adopt({ clientFd: client.fd, targetFd: target.fd, idleMs }),
  };
}

async function withLanes(options: LanePoolOptions, run: (pool: LanePool) => Promise<void>): Promise<void> {
  const pool = await startWarmLanes(options);
  try {
    await run(pool);
  } finally {
    await pool.stop();
  }
}

function countDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

async function waitUntil(condition: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`Waited in vain for ${what}.`);
    await Bun.sleep(5);
  }
}

describe("a splice lane", () => {
  let pool: LanePool;
  beforeAll(async () => {
    pool = await startWarmLanes();
  });
  afterAll(() => pool.stop());

  test("carries on where a half-closed tunnel was when it got it", async () => {
    const [client, target] = await Promise.all([connectToDescriptor(), connectToDescriptor()]);
    // What the relay did before: the client's FIN came and went on to the target.
    client.peer.finish();
    expect(libc.shutdown(target.fd, 1)).toBe(0);
    await target.peer.untilEnd();
    pool.hasRoom();
    const tunnel = pool.adopt({ clientFd: client.fd, targetFd: target.fd, idleMs: 0, upFinished: true });
    target.peer.write("answer");
    await client.peer.untilText("answer");
    target.peer.finish();
    await client.peer.untilEnd();
    expect(client.peer.end).toBe("fin");
    expect(await tunnel.done).toBe("closed");
    expect(tunnel.bytes()).toEqual({ up: 0, down: 6 });
  });

  test("delivers what a peer sent just before it reset the connection", async () => {
    const { client, target, tunnel } = await stand(pool);
    target.write("the last words");
    target.reset();
    await client.untilEnd();
    expect([client.text, client.end]).toEqual(["the last words", "reset"]);
    expect(await tunnel.done).toBe("target_reset");
  });

  test("sleeps while all its tunnels are half-closed, full or idle", async () => {
    const flooded = await stand(pool);
    flooded.client.pause();
    flooded.target.write(new Uint8Array(64 * 1_048_576));
    await flooded.target.until((peer) => peer.unwrittenBytes > 0, "a full tunnel");
    flooded.target.finish();
    flooded.client.finish();
    await flooded.target.untilEnd();
    const before = process.cpuUsage();
    const begin = performance.now();
    await Bun.sleep(600);
    const used = process.cpuUsage(before);
    // A loop that spins would use a whole core.
    expect((used.user + used.system) / 1000).toBeLessThan((performance.now() - begin) / 2);
    flooded.client.consume = () => undefined;
    flooded.client.resume();
    expect(await flooded.tunnel.done).toBe("closed");
    expect(flooded.client.receivedBytes).toBe(64 * 1_048_576);
  });

  test("is not starved for a small tunnel by eight firehoses", async () => {
    const firehoses = await Promise.all(Array.from({ length: 8 }, () => stand(pool)));
    for (const { client, target } of firehoses) {
      client.consume = () => undefined;
      const block = new Uint8Array(262_144);
      const refill = (): void => {
        if (target.closed) return;
        if (target.unwrittenBytes === 0) target.write(block);
        setImmediate(refill);
      };
      refill();
    }
    const shell = await stand(pool);
    for (let round = 1; round <= 50; round += 1) {
      shell.client.write("k");
      await shell.target.untilReceived(round);
      shell.target.write("e");
      await shell.client.untilReceived(round);
    }
    expect(firehoses.every(({ tunnel }) => tunnel.bytes().down > 0)).toBe(true);
    for (const { tunnel } of [...firehoses, shell]) tunnel.kill();
    expect(new Set(await Promise.all([...firehoses, shell].map(({ tunnel }) => tunnel.done)))).toEqual(
      new Set(["killed"]),
    );
    for (const { target } of firehoses) target.reset();
  });

  test("ends each of many tunnels by its own idle time", async () => {
    const stands = await Promise.all(Array.from({ length: 20 }, (_, index) => stand(pool, index % 2 === 0 ? 150 : 0)));
    const idle = stands.filter((_, index) => index % 2 === 0);
    const others = stands.filter((_, index) => index % 2 === 1);
    expect(new Set(await Promise.all(idle.map(({ tunnel }) => tunnel.done)))).toEqual(new Set(["idle_timeout"]));
    for (const { client, target } of others) {
      client.write("still here");
      await target.untilText("still here");
    }
    for (const { tunnel } of others) tunnel.kill();
    await Promise.all(others.map(({ tunnel }) => tunnel.done));
  });

  test("can be told twice to kill a tunnel, and after its end", async () => {
    const { client, tunnel } = await stand(pool);
    tunnel.kill();
    tunnel.kill();
    expect(await tunnel.done).toBe("killed");
    tunnel.kill();
    await client.untilEnd();
    const next = await stand(pool);
    next.client.write("untouched");
    await next.target.untilText("untouched");
    next.tunnel.kill();
    await next.tunnel.done;
  });
});

describe("splice lanes", () => {
  test.each([0, 1, 2])("carry random traffic with %d pipes for all", async (pipes) => {
    // A flood into a reader that does not read holds one of them for the length of the test.
    await withLanes({ maxPipes: pipes }, async (pool) => {
      const hog = await stand(pool);
      hog.client.pause();
      hog.target.write(new Uint8Array(64 * 1_048_576));
      await hog.target.until((peer) => peer.unwrittenBytes > 0, "a full tunnel");
      const random = createRandom(40 + pipes);
      await Promise.all(
        Array.from({ length: 12 }, async () => {
          const { client, target, tunnel } = await stand(pool);
          const up = random.bytes(random.below(1_500_000));
          const down = random.bytes(random.below(1_500_000));
          client.write(up);
          target.write(down);
          client.finish();
          target.finish();
          expect(await tunnel.done).toBe("closed");
          await Promise.all([client.untilEnd(), target.untilEnd()]);
          expect([Bun.hash(target.received), Bun.hash(client.received)]).toEqual([Bun.hash(up), Bun.hash(down)]);
          expect(tunnel.bytes()).toEqual({ up: up.length, down: down.length });
        }),
      );
      hog.tunnel.kill();
      await hog.tunnel.done;
    });
  });

  test("have room for as many tunnels as they have slots, and again when one is free", async () => {
    await withLanes({ slotsPerLane: 3 }, async (pool) => {
      const stands = [await stand(pool), await stand(pool), await stand(pool)];
      expect(pool.hasRoom()).toBe(false);
      expect(() => pool.adopt({ clientFd: -1, targetFd: -1, idleMs: 0 })).toThrow("no room");
      stands[1]?.tunnel.kill();
      await stands[1]?.tunnel.done;
      expect(pool.hasRoom()).toBe(true);
      const next = await stand(pool);
      next.client.write("in the same slot");
      await next.target.untilText("in the same slot");
    });
  });

  test("start with the first question for room, and more of them when the first is in use", async () => {
    const pool = await startWarmLanes({ lanes: 2 });
    expect(pool.status()).toEqual({ lanes: 1, tunnels: 0, lost: 0 });
    await stand(pool);
    pool.hasRoom();
    expect(pool.status()).toMatchObject({ lanes: 2, tunnels: 1 });
    await pool.warm();
    await stand(pool);
    await stand(pool);
    expect(pool.status()).toMatchObject({ lanes: 2, tunnels: 3 });
    await pool.stop();
  });

  test("reset their tunnels when they are stopped, and give every descriptor back", async () => {
    const before = countDescriptors();
    for (let round = 0; round < 3; round += 1) {
      const pool = await startWarmLanes();
      const { client, target, tunnel } = await stand(pool);
      client.write("x");
      await target.untilText("x");
      await pool.stop();
      expect(await tunnel.done).toBe("killed");
      await Promise.all([client.untilEnd(), target.untilEnd()]);
      expect([client.end, target.end]).toEqual(["reset", "reset"]);
      expect(pool.hasRoom()).toBe(false);
    }
    await waitUntil(() => countDescriptors() <= before, "the descriptors of three pools");
  });

  test("a lane that dies resets its own tunnels, says so, and is replaced", async () => {
    const trouble: string[] = [];
    const before = countDescriptors();
    await withLanes({ lanes: 1, onTrouble: (message) => trouble.push(message) }, async (pool) => {
      const { client, target, tunnel } = await stand(pool);
      client.write("counted");
      await waitUntil(() => tunnel.bytes().up === 7, "the count");
      expect(pool.crashOne()).toBe(true);
      expect(await tunnel.done).toBe("lane_lost");
      await Promise.all([client.untilEnd(), target.untilEnd()]);
      expect([client.end, target.end]).toEqual(["reset", "reset"]);
      expect(tunnel.bytes()).toEqual({ up: 7, down: 0 });
      expect(trouble).toHaveLength(1);
      expect(pool.status()).toEqual({ lanes: 0, tunnels: 0, lost: 1 });
      await waitUntil(() => pool.hasRoom(), "another lane");
      const next = await stand(pool);
      next.client.write("as before");
      await next.target.untilText("as before");
      next.tunnel.kill();
      await next.tunnel.done;
    });
    await waitUntil(() => countDescriptors() <= before, "the descriptors of a dead lane");
  });

  test("a lane that dies takes no tunnel of another lane with it", async () => {
    await withLanes({ lanes: 2 }, async (pool) => {
      const one = await stand(pool);
      pool.hasRoom();
      await pool.warm();
      const two = await stand(pool);
      const ends: string[] = [];
      void one.tunnel.done.then((end) => ends.push(end));
      void two.tunnel.done.then((end) => ends.push(end));
      pool.crashOne();
      await waitUntil(() => ends.length > 0, "the end of one tunnel");
      const living = one.client.end === "open" && one.target.end === "open" ? one : two;
      living.client.write("I live");
      await living.target.untilText("I live");
      expect(ends).toEqual(["lane_lost"]);
    });
  });

  test("lose nothing when bytes arrive at the very moment of the hand-over", async () => {
    const random = createRandom(77);
    await withLanes({}, async (pool) => {
      for (let round = 0; round < 150; round += 1) {
        using server = listenRaw();
        const far = await connectToDescriptor();
        const [client, accepted] = await Promise.all([connectRaw(server.port), server.next()]);
        server.stop();
        const before: Uint8Array[] = [];
        const { socket } = accepted;
        const { fd } = socket as unknown as { fd: number };
        const takeAt = random.below(40_000);
        const taken = Promise.withResolvers<LanedTunnel>();
        let seen = 0;
        let tookOver = false;
        const takeOver = (): void => {
          if (tookOver) return;
          tookOver = true;
          const clientFd = takeOverSocket(libc, {
            fd,
            pause: () => socket.pause(),
            resume: () => socket.resume(),
            close: () => socket.close(),
          });
          pool.hasRoom();
          taken.resolve(pool.adopt({ clientFd, targetFd: far.fd, idleMs: 0 }));
        };
        accepted.consume = (chunk) => {
          expect(tookOver).toBe(false);
          before.push(chunk.slice());
          seen += chunk.length;
          if (seen >= takeAt) takeOver();
        };
        const sent = random.bytes(takeAt + 1 + random.below(60_000));
        let at = 0;
        while (at < sent.length) {
          const size = 1 + random.below(20_000);
          client.write(sent.subarray(at, at + size));
          at += size;
          if (random.below(3) === 0) await Bun.sleep(0);
        }
        client.finish();
        const tunnel = await taken.promise;
        far.peer.finish();
        expect(await tunnel.done).toBe("closed");
        await far.peer.untilEnd();
        expect(Bun.hash(Buffer.concat([...before, far.peer.received]))).toBe(Bun.hash(sent));
        expect(tunnel.bytes().up).toBe(sent.length - seen);
      }
    });
  });

  test("hold a thousand tunnels at once", async () => {
    await withLanes({}, async (pool) => {
      const pairs = Array.from({ length: 1000 }, () => {
        const [client, clientFd] = openSocketPair(libc) ?? [-1, -1];
        const [target, targetFd] = openSocketPair(libc) ?? [-1, -1];
        return { client, target, tunnel: pool.adopt({ clientFd, targetFd, idleMs: 0 }) };
      });
      const into = new Uint8Array(16);
      for (const [index, { client }] of pairs.entries())
        libc.write(client, Buffer.from(`tunnel ${index}`), `tunnel ${index}`.length);
      await waitUntil(() => pairs.every(({ tunnel }) => tunnel.bytes().up >= 8), "a message in each tunnel");
      for (const [index, { target }] of pairs.entries()) {
        const count = libc.read(target, into, into.length);
        expect(Buffer.from(into.subarray(0, Math.max(0, count))).toString()).toBe(`tunnel ${index}`);
      }
      for (const { client, target } of pairs) {
        libc.close(client);
        libc.close(target);
      }
      await Promise.all(pairs.map(({ tunnel }) => tunnel.done));
      expect(pool.status().tunnels).toBe(0);
    });
  });
});
