import { describe, expect, test } from "bun:test";
import type { LanedTunnel } from "../../src/net/conn/lanes.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import {
  connectToDescriptor,
  countDescriptors,
  standInLane,
  takeDescriptor,
  waitUntil,
  withLanes,
} from "../support/laned-stand.ts";
import { requireLibc, startWarmLanes } from "../support/lane-stand.ts";
import { connectRaw, listenRaw } from "../support/raw-peer.ts";
import { createRandom } from "../support/seeded-random.ts";

const libc = requireLibc();

describe("splice lanes", () => {
  test.each([0, 1, 2])("carry random traffic with %d pipes for all", async (pipes) => {
    // A flood into a reader that does not read holds one of them for the length of the test.
    await withLanes({ maxPipes: pipes }, async (pool) => {
      const hog = await standInLane(pool);
      hog.client.pause();
      hog.target.write(new Uint8Array(64 * 1_048_576));
      await hog.target.until((peer) => peer.unwrittenBytes > 0, "a full tunnel");
      const random = createRandom(40 + pipes);
      await Promise.all(
        Array.from({ length: 12 }, async () => {
          const { client, target, tunnel } = await standInLane(pool);
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
      const stands = [await standInLane(pool), await standInLane(pool), await standInLane(pool)];
      expect(pool.hasRoom()).toBe(false);
      expect(() => pool.adopt({ clientFd: -1, targetFd: -1, idleMs: 0 })).toThrow("no room");
      stands[1]?.tunnel.kill();
      await stands[1]?.tunnel.done;
      expect(pool.hasRoom()).toBe(true);
      const next = await standInLane(pool);
      next.client.write("in the same slot");
      await next.target.untilText("in the same slot");
    });
  });

  test("start with the first question for room, and more of them when the first is in use", async () => {
    const pool = await startWarmLanes({ lanes: 2 });
    expect(pool.status()).toEqual({ lanes: 1, tunnels: 0, lost: 0 });
    await standInLane(pool);
    pool.hasRoom();
    expect(pool.status()).toMatchObject({ lanes: 2, tunnels: 1 });
    await pool.warm();
    await standInLane(pool);
    await standInLane(pool);
    expect(pool.status()).toMatchObject({ lanes: 2, tunnels: 3 });
    await pool.stop();
  });

  test("reset their tunnels when they are stopped, and give every descriptor back", async () => {
    const before = countDescriptors();
    for (let round = 0; round < 3; round += 1) {
      const pool = await startWarmLanes();
      const { client, target, tunnel } = await standInLane(pool);
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
      const { client, target, tunnel } = await standInLane(pool);
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
      const next = await standInLane(pool);
      next.client.write("as before");
      await next.target.untilText("as before");
      next.tunnel.kill();
      await next.tunnel.done;
    });
    await waitUntil(() => countDescriptors() <= before, "the descriptors of a dead lane");
  });

  test("a lane that dies takes no tunnel of another lane with it", async () => {
    await withLanes({ lanes: 2 }, async (pool) => {
      const one = await standInLane(pool);
      pool.hasRoom();
      await pool.warm();
      const two = await standInLane(pool);
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
        const takeAt = random.below(40_000);
        const taken = Promise.withResolvers<LanedTunnel>();
        let seen = 0;
        let tookOver = false;
        const takeOver = (): void => {
          if (tookOver) return;
          tookOver = true;
          const clientFd = takeDescriptor(accepted);
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
