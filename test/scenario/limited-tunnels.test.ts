import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { TokenBuckets } from "../../src/net/conn/token-buckets.ts";
import { createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { limitBy } from "../support/bucket-budget.ts";
import { startWarmLanes } from "../support/lane-stand.ts";
import { waitFor } from "../support/wait-for.ts";
import { connectTunnel, describeTunnelContract, descriptorEnds } from "./tunnel-contract.ts";

const BUCKETS = 16;
const FAST = { bytesPerSecond: 100_000_000, burstBytes: 100_000 };

const buckets = TokenBuckets.create(BUCKETS);
let pool: LanePool;
let poor: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes({ buckets });
  poor = await startWarmLanes({ buckets, maxPipes: 0 });
});
afterAll(() => Promise.all([pool.stop(), poor.stop()]));

/** An engine all of whose tunnels share a bucket each way, and another one for both. */
function limit(engine: () => TunnelEngine): TunnelEngine {
  for (const bucket of [0, 1, 2]) buckets.set(bucket, FAST);
  return limitBy(buckets, engine, { up: [0, 2], down: [1, 2] });
}

describeTunnelContract(
  "relay, limited",
  limit(() => relay),
  descriptorEnds,
);
describeTunnelContract(
  "relay, then a splice lane after the first byte, limited",
  limit(() => createAdaptiveEngine(pool, 1)),
  descriptorEnds,
);
describeTunnelContract(
  "relay, then a splice lane that has no pipes, limited",
  limit(() => createAdaptiveEngine(poor, 1)),
  descriptorEnds,
);

/** An engine whose tunnels share bucket 8 or above on the way down. */
function limitDown(
  engine: () => TunnelEngine,
  bucket: number,
  bytesPerSecond: number,
  burstBytes = 5000,
): TunnelEngine {
  buckets.set(bucket, { bytesPerSecond, burstBytes });
  return limitBy(buckets, engine, { down: [bucket] });
}

/** Tunnels in lanes. */
function countLaned(): number {
  return pool.status().tunnels + poor.status().tunnels;
}

/** Opens a tunnel, and waits until one byte came down and `lanes` tunnels are in lanes. */
async function openInPlace(engine: TunnelEngine, lanes: number) {
  const stand = await connectTunnel(engine, {}, descriptorEnds);
  stand.target.write("x");
  await waitFor(() => countLaned() === lanes && stand.client.receivedBytes === 1, "the engine");
  return stand;
}

const engines: [string, number, () => TunnelEngine][] = [
  ["the relay", 0, () => relay],
  ["a splice lane", 1, () => createAdaptiveEngine(pool, 1)],
  ["a splice lane without pipes", 1, () => createAdaptiveEngine(poor, 1)],
];

describe.each(engines)("tunnels in %s that share a bucket", (_name, lanes, engine) => {
  test("never move more than it allows, and none is left behind", async () => {
    const rate = 8_000_000;
    const burst = 400_000;
    const limited = limitDown(engine, 8, rate, burst);
    const stands = await Promise.all(Array.from({ length: 8 }, () => connectTunnel(limited, {}, descriptorEnds)));
    const since = performance.now();
    const size = 1_000_000;
    for (const { target } of stands) target.write(Buffer.alloc(size, 7));
    const received = (): number => stands.reduce((sum, { client }) => sum + client.receivedBytes, 0);
    let least = 1;
    await waitFor(() => {
      const bytes = received();
      expect(bytes).toBeLessThanOrEqual(burst + ((performance.now() - since + 10) * rate) / 1000);
      const isLate = bytes > (size * stands.length * 3) / 4;
      if (isLate && least === 1) least = Math.min(...stands.map(({ client }) => client.receivedBytes / size));
      return bytes === size * stands.length;
    }, "all bytes");
    // When three quarters of all were there, everybody had a good part of that.
    expect(least).toBeGreaterThan(0.25);
    expect(lanes === 0 || countLaned() > 0).toBe(true);
    for (const { client, target, tunnel } of stands) {
      client.finish();
      target.finish();
      expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 0, bytesDown: size });
    }
  });

  test("pass the other direction on while one of them waits, and end at once", async () => {
    // Full, and then empty for hours.
    const { client, target, tunnel } = await openInPlace(limitDown(engine, 9, 100), lanes);
    target.write(Buffer.alloc(200_000, 7));
    await client.untilReceived(5000);
    client.write("ping");
    await target.untilText("ping");
    expect(client.receivedBytes).toBeLessThan(10_000);
    client.reset();
    expect((await tunnel.done).end).toBe("client_reset");
    await target.untilEnd();
    expect(buckets.countWaiting(9)).toBe(0);
  });

  test("deliver all of a target that hung up while its bytes waited", async () => {
    const { client, target, tunnel } = await openInPlace(limitDown(engine, 10, 50_000), lanes);
    target.write(Buffer.alloc(30_000, 7));
    client.finish();
    await target.untilEnd();
    target.finish();
    await client.untilEnd();
    expect([client.receivedBytes, client.end]).toEqual([30_001, "fin"]);
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 0, bytesDown: 30_001 });
  });

  test("hear of a reset by the side that is not read meanwhile", async () => {
    const { client, target, tunnel } = await openInPlace(limitDown(engine, 10, 100), lanes);
    target.write(Buffer.alloc(200_000, 7));
    await client.untilReceived(5000);
    target.reset();
    expect((await tunnel.done).end).toBe("target_reset");
    await client.untilEnd();
    expect(client.end).toBe("reset");
  });

  test("outlive their idle timeout while they wait, and end with it once nothing is left to move", async () => {
    // Three seconds for all, in turns further apart than the timeout.
    const bucket = 11;
    const limited = limitDown(engine, bucket, 1024, 0);
    const { client, target, tunnel } = await connectTunnel(limited, { idleMs: 100 }, descriptorEnds);
    target.write(Buffer.alloc(3000, 7));
    await client.untilReceived(3000);
    expect(client.end).toBe("open");
    expect((await tunnel.done).end).toBe("idle_timeout");
    expect(buckets.countWaiting(bucket)).toBe(0);
  });

  test("end at once when they are killed while they wait", async () => {
    const { client, target, tunnel } = await openInPlace(limitDown(engine, 12, 100), lanes);
    target.write(Buffer.alloc(200_000, 7));
    await waitFor(() => tunnel.waitsFor === 12, "the tunnel to wait");
    tunnel.kill("killed");
    expect((await tunnel.done).end).toBe("killed");
    await Promise.all([client.untilEnd(), target.untilEnd()]);
    expect([client.end, buckets.countWaiting(12)]).toEqual(["reset", 0]);
  });

  test("go on at once when their limit is lifted, and slower under a lower one", async () => {
    const bucket = 13;
    const { client, target, tunnel } = await openInPlace(limitDown(engine, bucket, 1024), lanes);
    target.write(Buffer.alloc(200_000, 7));
    await waitFor(() => tunnel.waitsFor === bucket, "the tunnel to wait");
    buckets.set(bucket, undefined);
    await client.untilReceived(200_001);
    buckets.set(bucket, { bytesPerSecond: 1024, burstBytes: 0 });
    target.write(Buffer.alloc(200_000, 7));
    await waitFor(() => tunnel.waitsFor === bucket, "the tunnel to wait again");
    expect(client.receivedBytes).toBeLessThan(300_001);
    tunnel.kill("killed");
    await tunnel.done;
  });
});

test("a lane that dies leaves nobody behind who is counted as waiting", async () => {
  const mortal = await startWarmLanes({ buckets });
  try {
    const engine = limitDown(() => createAdaptiveEngine(mortal, 1), 14, 100);
    const { client, target, tunnel } = await connectTunnel(engine, {}, descriptorEnds);
    target.write("x");
    await waitFor(() => mortal.status().tunnels === 1 && client.receivedBytes === 1, "the lane");
    target.write(Buffer.alloc(200_000, 7));
    await waitFor(() => tunnel.waitsFor === 14 && buckets.countWaiting(14) === 1, "the tunnel to wait");
    mortal.crashOne();
    expect((await tunnel.done).end).toBe("lane_lost");
    expect(buckets.countWaiting(14)).toBe(0);
  } finally {
    await mortal.stop();
  }
});

test("a limited tunnel stays in the relay where lanes know no buckets, or not so many", async () => {
  const ignorant = await startWarmLanes();
  try {
    const many = [11, 12, 13, 14, 15];
    for (const bucket of many) buckets.set(bucket, FAST);
    for (const [lanes, up] of [
      [ignorant, [11]],
      [pool, many],
    ] as const) {
      const engine = limitBy(buckets, () => createAdaptiveEngine(lanes, 1), { up });
      const { client, target, tunnel } = await connectTunnel(engine, {}, descriptorEnds);
      const before = lanes.status().tunnels;
      client.write("hello");
      await target.untilText("hello");
      expect(lanes.status().tunnels).toBe(before);
      client.finish();
      target.finish();
      expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 5, bytesDown: 0 });
    }
  } finally {
    await ignorant.stop();
  }
});
