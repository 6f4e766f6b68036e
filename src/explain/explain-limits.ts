import { formatBandwidth } from "../config/limits-schema.ts";
import { readRecord } from "../config/plain-data.ts";
import { formatDecimalSize } from "../config/quantity.ts";
import { findUserShare, type Limits, type Rate, type UserShare } from "../proxy/limit/limits.ts";
import type { Terms } from "../proxy/policy/decision.ts";
import { formatBytes } from "../proxy/record/access-line.ts";
import { type Fact, line } from "./explain-fact.ts";

/** Whom limits are for. */
export interface LimitSubject {
  readonly user: string | undefined;
  readonly decision?: Pick<Terms, "bandwidth"> | undefined;
}

/** Says which limits hold for a connection, in the order in which they are asked; nothing when there are none but that of all connections. */
export function explainLimits(limits: Limits, { user, decision }: LimitSubject): Fact[] {
  const { inAll, perClient, perTarget } = limits;
  const shares: [path: string, share: Partial<UserShare>][] = [
    ["perClient.", perClient],
    ["", { ...inAll, connections: 0 }],
    ...(user === undefined ? [] : [["perUser.", findUserShare(limits, user)] as [string, UserShare]]),
    ["perTarget.", perTarget],
    ["rules.", { bandwidth: decision?.bandwidth }],
  ];
  const named = Object.fromEntries(shares.flatMap(([path, share]) => listLimits(path, share)));
  const said = Object.entries(named).map(([name, value]) => `${name} ${value}`);
  return said.length === 0 ? [] : [{ name: "limits", value: said.join(", "), more: { limits: named } }];
}

/** A row of `/usage` of a running proxy for one user or client; undefined when nobody answers. */
export type AskUse = (
  by: "user" | "client" | "target",
  key: string,
) => Promise<Readonly<Record<string, unknown>> | undefined>;

/** Says what is used of the limits of a client, a user and a target, as a running proxy knows it; nothing when none answers. */
export async function explainUse(
  keys: { readonly client: string; readonly user: string | undefined; readonly target: string },
  ask: AskUse,
): Promise<Fact[]> {
  const asked = [
    ["perClient", "client", keys.client],
    ["perUser", "user", keys.user],
    ["perTarget", "target", keys.target],
  ] as const;
  const rows = await Promise.all(
    asked.map(async ([path, by, key]) => [path, key === undefined ? undefined : await ask(by, key)] as const),
  );
  const used = rows.flatMap(([path, row]) => (row === undefined ? [] : listUsed(path, row)));
  if (used.length === 0) return [];
  const more = { used: Object.fromEntries(used.map(({ name, value }) => [name, value])) };
  return [
    { ...line("used", used.map(({ name, said }) => `${name} ${said}`).join(", ")), more },
    ...used.flatMap(({ name, spentUntil }) =>
      spentUntil === undefined ? [] : [line("note", `${name} is used up: the answer is 429 until ${spentUntil}.`)],
    ),
  ];
}

interface Used {
  readonly name: string;
  readonly said: string;
  readonly value: unknown;
  /** When a quota that is used up begins anew. */
  readonly spentUntil?: string | undefined;
}

function listUsed(path: string, row: Readonly<Record<string, unknown>>): Used[] {
  const [limits, used, rate, quota] = ["limits", "used", "rate", "quota"].map((name) => readRecord(row[name]));
  const found: Used[] = [];
  const add = (name: string, said: string, value: unknown, spentUntil?: string): void => {
    found.push({ name: `${path}.${name}`, said, value, spentUntil });
  };
  const { connections, requests } = used ?? {};
  if (typeof connections === "number") add("connections", String(connections), connections);
  if (typeof requests === "number") add("rate", `${requests} requests`, requests);
  const { up, down } = rate ?? {};
  if (limits?.["bytes_per_second"] !== undefined && typeof up === "number" && typeof down === "number")
    add("bandwidth", `up ${formatBytes(up)}/s, down ${formatBytes(down)}/s`, { up, down });
  for (const span of ["day", "month"]) {
    const state = readRecord(quota?.[span]);
    const { used: bytes, left, resets_at: until } = state;
    if (typeof bytes !== "number" || typeof left !== "number" || typeof until !== "string") continue;
    const said = `${formatBytes(bytes)} (${formatBytes(left)} left until ${until})`;
    add(`bytes.${span}`, said, state, left === 0 ? until : undefined);
  }
  return found;
}

function listLimits(
  path: string,
  { connections = 0, rate, bandwidth, quota }: Partial<UserShare>,
): [string, string | number][] {
  return [
    ...(connections > 0 ? ([[`${path}connections`, connections]] as [string, number][]) : []),
    ...(rate === undefined ? [] : ([[`${path}rate`, formatRate(rate)]] as [string, string][])),
    ...(bandwidth === undefined ? [] : ([[`${path}bandwidth`, formatBandwidth(bandwidth)]] as [string, string][])),
    ...(["day", "month"] as const).flatMap((span): [string, string][] => {
      const bytes = quota?.[span];
      return bytes === undefined ? [] : [[`${path}bytes.${span}`, formatDecimalSize(bytes)]];
    }),
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
