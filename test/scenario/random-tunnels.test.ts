import { afterAll, beforeAll, expect, test } from "bun:test";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import { TokenBuckets } from "../../src/net/conn/token-buckets.ts";
import { relay } from "../../src/proxy/flow/relay.ts";
import type { TunnelEngine } from "../../src/proxy/flow/tunnel.ts";
import { limitTunnels } from "../support/bucket-budget.ts";
import { laneFromTheStart, startWarmLanes } from "../support/lane-stand.ts";
import { driveTunnel } from "../support/random-tunnel.ts";
import { createRandom } from "../support/seeded-random.ts";
import { connectTunnel, descriptorEnds, type TunnelStandEnds } from "./tunnel-contract.ts";

/** Tunnels per engine: as many as the variable says. */
const TUNNELS = Number(process.env["RANDOM_TUNNELS"] ?? 150);
const WIDTH = 16;

/** One for each direction of the limited tunnels, and one for both: so small that there is always somebody who waits. */
const buckets = TokenBuckets.create(3);

let pool: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes({ buckets });
});
afterAll(() => pool.stop());

const engines: readonly (readonly [string, () => TunnelEngine, TunnelStandEnds])[] = [
  ["the relay", () => relay, {}],
  ["the relay over descriptors", () => relay, descriptorEnds],
  ["a splice lane", () => laneFromTheStart(() => pool), {}],
  ["the relay and then a lane", () => createAdaptiveEngine(pool, 10_000), {}],
  ["the relay over descriptors and then a lane", () => createAdaptiveEngine(pool, 10_000), descriptorEnds],
  ["the relay within budgets", () => limitTunnels(buckets, relay), descriptorEnds],
  [
    "the relay and then a lane within budgets",
    () => limitTunnels(buckets, createAdaptiveEngine(pool, 10_000)),
    descriptorEnds,
  ],
];

test.each(engines)(
  "tunnels from a seed arrive byte for byte through %s, and end as they were ended",
  async (_, createEngine, how) => {
    const engine = createEngine();
    const ends = { closed: 0, client_reset: 0, target_reset: 0, killed: 0 };
    let begun = 0;
    const work = async (): Promise<void> => {
      while (begun < TUNNELS) {
        begun += 1;
        const seed = begun;
        const { client, target, tunnel } = await connectTunnel(engine, {}, how);
        const driven = await driveTunnel(client, target, createRandom(seed * 7919)).catch((error: unknown) => {
          throw new Error(`Seed ${seed}: ${String(error)}`);
        });
        const result = await tunnel.done;
        ends[driven.end] += 1;
        expect([seed, result.end]).toEqual([seed, driven.end]);
        // What a reset voids on the way had been counted when it was sent on.
        if (driven.end === "closed")
          expect([result.bytesUp, result.bytesDown]).toEqual([driven.sentUp, driven.sentDown]);
        else {
          expect(result.bytesUp).toBeWithin(driven.gotUp, driven.sentUp + 1);
          expect(result.bytesDown).toBeWithin(driven.gotDown, driven.sentDown + 1);
        }
      }
    };
    await Promise.all(Array.from({ length: WIDTH }, work));
    expect(Math.min(ends.closed, ends.client_reset, ends.target_reset)).toBeGreaterThan(0);
    expect(pool.status().tunnels).toBe(0);
  },
  1_800_000,
);

test("no flow is counted as waiting for a budget once its tunnel is over", () => {
  for (const bucket of [0, 1, 2]) expect(buckets.countWaiting(bucket)).toBe(0);
});
