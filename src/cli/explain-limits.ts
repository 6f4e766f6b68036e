import { formatBandwidth } from "../config/limits-schema.ts";
import { findUserShare, type Limits, type Rate, type Share } from "../proxy/limit/limits.ts";
import type { Fact } from "./explain-fact.ts";

/** Says which limits hold for a connection, in the order in which they are asked; nothing when there are none but that of all connections. */
export function explainLimits(limits: Limits, user: string | undefined): Fact[] {
  const { inAll, perClient, perTarget } = limits;
  const shares: [path: string, share: Partial<Share>][] = [
    ["perClient.", perClient],
    ["", { ...inAll, connections: 0 }],
    ...(user === undefined ? [] : [["perUser.", findUserShare(limits, user)] as [string, Share]]),
    ["perTarget.", perTarget],
  ];
  const named = Object.fromEntries(shares.flatMap(([path, share]) => listLimits(path, share)));
  const said = Object.entries(named).map(([name, value]) => `${name} ${value}`);
  return said.length === 0 ? [] : [{ name: "limits", value: said.join(", "), more: { limits: named } }];
}

function listLimits(path: string, { connections = 0, rate, bandwidth }: Partial<Share>): [string, string | number][] {
  return [
    ...(connections > 0 ? ([[`${path}connections`, connections]] as [string, number][]) : []),
    ...(rate === undefined ? [] : ([[`${path}rate`, formatRate(rate)]] as [string, string][])),
    ...(bandwidth === undefined ? [] : ([[`${path}bandwidth`, formatBandwidth(bandwidth)]] as [string, string][])),
  ];
}

const SPANS = [
  ["s", 1],
  ["m", 60],
  ["h", 3600],
] as const;

/** As it is written, in the shortest span in which it is a whole number; with its burst when that is another one. */
function formatRate({ perSecond, burst }: Rate): string {
  const [unit, seconds] = SPANS.find(([, each]) => isWhole(perSecond * each)) ?? SPANS[2];
  const count = Math.round(perSecond * seconds);
  const most = Math.round(burst * 100) / 100;
  return `${count}/${unit}${most === count ? "" : ` (${most} at once)`}`;
}

function isWhole(count: number): boolean {
  return Math.abs(count - Math.round(count)) < 1e-6;
}
