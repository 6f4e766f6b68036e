import { apache } from "../peers/apache.ts";
import { direct } from "../peers/direct.ts";
import { haproxyAuto, haproxyTuned } from "../peers/haproxy.ts";
import { laneAlone } from "../peers/lane.ts";
import { minimal } from "../peers/minimal.ts";
import { nginxForward, nginxReverse } from "../peers/nginx.ts";
import { penstock, penstockBefore, penstockRelay, penstockSocks } from "../peers/penstock.ts";
import { proxyChain } from "../peers/proxy-chain.ts";
import { danted, microsocks } from "../peers/socks.ts";
import { squid } from "../peers/squid.ts";
import { tinyproxy } from "../peers/tinyproxy.ts";
import { writeTable } from "../report.ts";
import { getKeptAlive, moveBulk, playPingPong, stayIdle, type Scenario } from "../scenarios.ts";
import type { Suite } from "./suite.ts";

const setup: Scenario = {
  name: "connect, round trip, close ×16",
  kind: "setup",
  tunnels: 16,
  messageBytes: 64,
  unit: "tunnel",
};

/** After so long that a program that compiles what it runs often is done with that. */
const warmSetup: Scenario = { ...setup, name: `${setup.name}, warm`, warmUpMs: 8000 };
const firstSetups: Scenario = { ...setup, name: "the first 1,000 tunnels ×16", first: 1000, warmUpMs: 0, restMs: 1500 };

const scenarios: readonly Scenario[] = [
  ...(["down", "up", "both"] as const).flatMap((kind) => [1, 8, 64].map((tunnels) => moveBulk(kind, tunnels))),
  playPingPong(64, 16),
  playPingPong(4096, 16),
  setup,
  warmSetup,
  firstSetups,
  getKeptAlive(1024, 32),
  getKeptAlive(102_400, 32),
  stayIdle(1000),
  stayIdle(4000),
  { name: "slow reader ×8", kind: "slow", tunnels: 8, messageBytes: 0, unit: "memory" },
];

/** Penstock beside every other proxy. */
export const comparison: Suite = {
  name: "bench",
  scenarios,
  peers: [
    direct,
    minimal,
    penstock,
    penstockBefore,
    penstockRelay,
    penstockSocks,
    laneAlone,
    haproxyTuned,
    haproxyAuto,
    squid,
    tinyproxy,
    apache,
    nginxForward,
    nginxReverse,
    microsocks,
    danted,
    proxyChain,
  ],
  quickScenarios: [moveBulk("down", 8), playPingPong(64, 16), setup, stayIdle(1000)],
  quickPeers: [direct, penstock, haproxyTuned, squid, tinyproxy],
  writeSections: (all) =>
    scenarios
      .map((scenario) => all.filter((series) => series.scenario.name === scenario.name))
      .filter((some) => some.length > 0)
      .map(writeTable),
  drawPlots: () => ({}),
};
