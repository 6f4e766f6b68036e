import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { TokenBuckets } from "../../src/net/conn/budget.ts";
import { createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { BucketBudget } from "../support/bucket-budget.ts";
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
  const [upBudget, downBudget] = [new BucketBudget(buckets, [0, 2]), new BucketBudget(buckets, [1, 2])];
  return (client, target, options) => engine()(client, target, { ...options, upBudget, downBudget });
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

/** What limits the tunnels of a test: rate and burst of bucket 8 or above. */
function makeBudget(bucket: number, bytesPerSecond: number, burstBytes: number): BucketBudget {
  buckets.set(bucket, { bytesPerSecond, burstBytes });
  return new BucketBudget(buckets, [bucket]);
}

/** Tunnels in lanes. */
function countLaned(): number {
  return pool.status().tunnels + poor.status().tunnels;
}

/** An engine whose tunnels have a budget on the way down. */
function limitDown(engine: () => TunnelEngine, downBudget: BucketBudget): TunnelEngine {
  return (client, target, options) => engine()(client, target, { ...options, downBudget });
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
    const budget = makeBudget(8, rate, 100_000);
    const limited = limitDown(engine, budget);
    const stands = await Promise.all(Array.from({ length: 8 }, () => connectTunnel(limited, {}, descriptorEnds)));
    const since = performance.now();
    const size = 500_000;
    for (const { target } of stands) target.write(Buffer.alloc(size, 7));
    const received = (): number => stands.reduce((sum, { client }) => sum + client.receivedBytes, 0);
    let least = 1;
    await waitFor(() => {
      const bytes = received();
      expect(bytes).toBeLessThanOrEqual(100_000 + ((performance.now() - since + 2) * rate) / 1000);
      const half = bytes > (size * stands.length) / 2;
      if (half && least === 1) least = Math.min(...stands.map(({ client }) => client.receivedBytes / size));
      return bytes === size * stands.length;
    }, "all bytes");
    // When half of all was there, everybody had a good part of that.
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
    const budget = makeBudget(9, 100, 5000);
    const { client, target, tunnel } = await openInPlace(limitDown(engine, budget), lanes);
    target.write(Buffer.alloc(200_000, 7));
    await client.untilReceived(5000);
    client.write("ping");
    await target.untilText("ping");
    expect(client.receivedBytes).toBeLessThan(10_000);
    client.reset();
    expect((await tunnel.done).end).toBe("client_reset");
    await target.untilEnd();
    // Nobody is counted as waiting any more.
    buckets.set(9, { bytesPerSecond: 100, burstBytes: 5000 });
    expect(buckets.take(9, 1000, false)).toBe(1000);
  });

  test("deliver all of a target that hung up while its bytes waited", async () => {
    const budget = makeBudget(10, 50_000, 5000);
    const { client, target, tunnel } = await openInPlace(limitDown(engine, budget), lanes);
    target.write(Buffer.alloc(30_000, 7));
    client.finish();
    await target.untilEnd();
    target.finish();
    await client.untilEnd();
    expect([client.receivedBytes, client.end]).toEqual([30_001, "fin"]);
    expect(await tunnel.done).toEqual({ end: "closed", bytesUp: 0, bytesDown: 30_001 });
  });

  test("hear of a reset by the side that is not read meanwhile", async () => {
    const budget = makeBudget(10, 100, 5000);
    const { client, target, tunnel } = await openInPlace(limitDown(engine, budget), lanes);
    target.write(Buffer.alloc(200_000, 7));
    await client.untilReceived(5000);
    target.reset();
    expect((await tunnel.done).end).toBe("target_reset");
    await client.untilEnd();
    expect(client.end).toBe("reset");
  });
});

test("a limited tunnel stays in the relay where lanes know no buckets, or not so many", async () => {
  const ignorant = await startWarmLanes();
  try {
    const many = new BucketBudget(buckets, [11, 12, 13, 14, 15]);
    for (const bucket of many.buckets) buckets.set(bucket, FAST);
    for (const [lanes, upBudget] of [
      [ignorant, makeBudget(8, 1_000_000, 100_000)],
      [pool, many],
    ] as const) {
      const engine: TunnelEngine = (client, target, options) =>
        createAdaptiveEngine(lanes, 1)(client, target, { ...options, upBudget });
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
