import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { connectToDescriptor, standInLane } from "../support/laned-stand.ts";
import { requireLibc, startWarmLanes } from "../support/lane-stand.ts";
import { untilAtRest } from "../support/until-at-rest.ts";

const libc = requireLibc();

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
    const { client, target, tunnel } = await standInLane(pool);
    target.write("the last words");
    target.reset();
    await client.untilEnd();
    expect([client.text, client.end]).toEqual(["the last words", "reset"]);
    expect(await tunnel.done).toBe("target_reset");
  });

  test("sleeps while all its tunnels are half-closed, full or idle", async () => {
    const flooded = await standInLane(pool);
    flooded.client.pause();
    flooded.target.write(new Uint8Array(64 * 1_048_576));
    await flooded.target.until((peer) => peer.unwrittenBytes > 0, "a full tunnel");
    flooded.target.finish();
    flooded.client.finish();
    await flooded.target.untilEnd();
    await untilAtRest();
    flooded.client.consume = () => undefined;
    flooded.client.resume();
    expect(await flooded.tunnel.done).toBe("closed");
    // The lane is done when the kernel has it all; the client may still be reading.
    await flooded.client.untilEnd();
    expect(flooded.client.receivedBytes).toBe(64 * 1_048_576);
  });

  test("is not starved for a small tunnel by eight firehoses", async () => {
    const firehoses = await Promise.all(Array.from({ length: 8 }, () => standInLane(pool)));
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
    const shell = await standInLane(pool);
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
    const stands = await Promise.all(
      Array.from({ length: 20 }, (_, index) => standInLane(pool, index % 2 === 0 ? 150 : 0)),
    );
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
    const { client, tunnel } = await standInLane(pool);
    tunnel.kill();
    tunnel.kill();
    expect(await tunnel.done).toBe("killed");
    tunnel.kill();
    await client.untilEnd();
    const next = await standInLane(pool);
    next.client.write("untouched");
    await next.target.untilText("untouched");
    next.tunnel.kill();
    await next.tunnel.done;
  });
});
