import { afterAll, beforeAll, expect, test } from "bun:test";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { createAdaptiveEngine } from "../../src/proxy/flow/promotion.ts";
import { startWarmLanes } from "../support/lane-stand.ts";
import { connectTunnel, describeTunnelContract, descriptorEnds } from "./tunnel-contract.ts";
import { createRandom } from "../support/seeded-random.ts";

let pool: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes();
});
afterAll(() => pool.stop());

describeTunnelContract("relay, then a splice lane after the first byte", (client, target, options) =>
  createAdaptiveEngine(pool, 1)(client, target, options),
);

describeTunnelContract("relay, then a splice lane after 100 KB", (client, target, options) =>
  createAdaptiveEngine(pool, 100_000)(client, target, options),
);

describeTunnelContract(
  "relay over descriptors, then a splice lane after the first byte",
  (client, target, options) => createAdaptiveEngine(pool, 1)(client, target, options),
  descriptorEnds,
);

describeTunnelContract(
  "relay over descriptors, then a splice lane after 100 KB",
  (client, target, options) => createAdaptiveEngine(pool, 100_000)(client, target, options),
  descriptorEnds,
);

test.each([
  ["sockets of the runtime", {}],
  ["descriptors", descriptorEnds],
])(
  "promotion of %s under fire loses, repeats and reorders nothing",
  async (_name, ends) => {
    const random = createRandom(99);
    const tunnels = Number(process.env["PROMOTIONS"] ?? 300);
    const width = 8;
    let promoted = 0;
    for (let done = 0; done < tunnels; done += width) {
      await Promise.all(
        Array.from({ length: width }, async () => {
          const engine = createAdaptiveEngine(pool, 1 + random.below(20_000));
          const { client, target, tunnel } = await connectTunnel(engine, {}, ends);
          const sentUp = new Bun.CryptoHasher("sha256");
          const sentDown = new Bun.CryptoHasher("sha256");
          const gotUp = new Bun.CryptoHasher("sha256");
          const gotDown = new Bun.CryptoHasher("sha256");
          target.consume = (chunk) => gotUp.update(chunk);
          client.consume = (chunk) => gotDown.update(chunk);
          // Both sides send all the time, so that bytes are on the way whenever the hand-over happens.
          for (let round = 0; round < 30; round += 1) {
            for (const [peer, hash] of [
              [client, sentUp],
              [target, sentDown],
            ] as const) {
              const chunk = random.bytes(1 + random.below(4000));
              hash.update(chunk);
              peer.write(chunk);
            }
            if (random.below(4) === 0) await Bun.sleep(0);
            if (pool.status().tunnels > 0) promoted += 1;
          }
          client.finish();
          target.finish();
          expect((await tunnel.done).end).toBe("closed");
          await Promise.all([client.untilEnd(), target.untilEnd()]);
          expect(gotUp.digest("hex")).toBe(sentUp.digest("hex"));
          expect(gotDown.digest("hex")).toBe(sentDown.digest("hex"));
        }),
      );
    }
    expect(promoted).toBeGreaterThan(0);
  },
  600_000,
);
