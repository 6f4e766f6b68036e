import { afterAll, beforeAll } from "bun:test";
import type { LanePool } from "../../src/net/conn/lanes.ts";
import { laneFromTheStart, startWarmLanes } from "../support/lane-stand.ts";
import { describeTunnelContract } from "./tunnel-contract.ts";

let pool: LanePool;
let poor: LanePool;
beforeAll(async () => {
  pool = await startWarmLanes();
  poor = await startWarmLanes({ maxPipes: 0 });
});
afterAll(() => Promise.all([pool.stop(), poor.stop()]));

describeTunnelContract(
  "splice lane",
  laneFromTheStart(() => pool),
);

describeTunnelContract(
  "splice lane that has no pipes",
  laneFromTheStart(() => poor),
);
