import { afterAll, beforeAll } from "bun:test";
import type { LanePool } from "../../src/net/linux/lane-pool.ts";
import { laneFromTheStart, startWarmLanes } from "../support/lane-stand.ts";
import { describeTunnelContract } from "./tunnel-contract.ts";

let pool: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes();
});
afterAll(() => pool.stop());

describeTunnelContract(
  "splice lane",
  laneFromTheStart(() => pool),
);
