import type { Period } from "../proxy/limit/calendar.ts";
import { findUserShare, type Limits, type Quota } from "../proxy/limit/limits.ts";
import { Use } from "../proxy/limit/use.ts";
import { USAGE_KINDS, type UsageKind } from "../proxy/limit/usage.ts";
import type { UseTable } from "../proxy/limit/use-table.ts";
import { counter, type Family, gauge, type Sample } from "./prometheus-text.ts";

/** The label of all others, whatever their names are. */
const OTHER = "other";

export interface UsageSource {
  readonly tables: Readonly<Record<UsageKind, UseTable>>;
  readonly period: Period;
  readonly limits: Limits;
  /** Absent where use is not kept. */
  readonly keeper:
    { readonly fault: string | undefined; readonly failures: number; readonly behindMs: number } | undefined;
}

/** Puts the use of users into families: a bounded number of users, and the sum of the rest. */
export function collectUsageFamilies({ tables, period, limits, keeper }: UsageSource): Family[] {
  const rest = new Use(OTHER);
  // A counter never decreases: what was forgotten counts on.
  rest.include(tables.user.gone);
  const named = [...tables.user.named].filter(({ key }) => key !== OTHER);
  for (const use of tables.user) if (!tables.user.named.has(use) || use.key === OTHER) rest.include(use);
  const each = (read: (use: Use) => number): Sample[] =>
    [...named, rest].map((use) => ({ labels: { user: use.key }, value: read(use) }));
  const quotas = named.flatMap((use) => {
    const { quota } = limits.hasQuotas ? findUserShare(limits, use.key) : {};
    return quota === undefined ? [] : [{ use, quota }];
  });
  const spans = (read: (use: Use, quota: Quota, span: "day" | "month") => number | undefined): Sample[] =>
    quotas.flatMap(({ use, quota }) =>
      (["day", "month"] as const).flatMap((span) => {
        const value = quota[span] === undefined ? undefined : read(use, quota, span);
        return value === undefined ? [] : [{ labels: { user: use.key, span }, value }];
      }),
    );
  return [
    counter("penstock_user_bytes_total", "Bytes of users, by direction, since the process began.", [
      ...each(({ allUp }) => allUp).map((sample) => direct(sample, "up")),
      ...each(({ allDown }) => allDown).map((sample) => direct(sample, "down")),
    ]),
    counter(
      "penstock_user_requests_total",
      "Tunnels and forwarded requests of users that are over, since the process began.",
      each(({ allRequests }) => allRequests),
    ),
    gauge(
      "penstock_user_quota_bytes",
      "Quotas of users, by span of time.",
      spans((_, quota, span) => quota[span]),
    ),
    gauge(
      "penstock_user_quota_used_bytes",
      "What users have used of their quotas, by span of time.",
      spans((use, _, span) => (span === "day" ? use.dayBytes(period) : use.monthBytes(period))),
    ),
    gauge(
      "penstock_usage_entries",
      "Users, clients, targets and upstreams whose use is in memory.",
      USAGE_KINDS.map((by) => ({ labels: { by }, value: tables[by].count })),
    ),
    ...(keeper === undefined
      ? []
      : [
          gauge(
            "penstock_usage_kept",
            "1 when the use of users is kept on disk, 0 when it cannot be.",
            keeper.fault === undefined ? 1 : 0,
          ),
          counter("penstock_usage_failures_total", "Writes of the use of users that failed.", keeper.failures),
          gauge(
            "penstock_usage_behind_seconds",
            "Time since all use of users was kept.",
            Math.round(keeper.behindMs) / 1000,
          ),
        ]),
  ];
}

function direct({ labels, value }: Sample, direction: "up" | "down"): Sample {
  return { labels: { ...labels, direction }, value };
}
