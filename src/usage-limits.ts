import type { Admission } from "./proxy/limit/admission.ts";
import type { Period } from "./proxy/limit/calendar.ts";
import type { CountTable } from "./proxy/limit/count-table.ts";
import { findUserShare, type Limits, type Share, type UserShare } from "./proxy/limit/limits.ts";
import type { RateBucket } from "./proxy/limit/rate-bucket.ts";
import type { RequestLimits } from "./proxy/limit/request-limits.ts";
import type { ShareTable } from "./proxy/limit/share-table.ts";
import type { UsageKind } from "./proxy/limit/usage.ts";
import type { Use } from "./proxy/limit/use.ts";
import type { UsageRow } from "./sidecar/usage.ts";

/** What counts connections and requests against limits. */
export interface LimitTables {
  readonly admission: Pick<Admission, "userCounts" | "clientCounts">;
  readonly requestLimits: Pick<RequestLimits, "users" | "clients" | "targets" | "targetCounts">;
}

type LimitFacts = Pick<UsageRow, "limits" | "used" | "quota">;

interface Limited {
  readonly share: Partial<Pick<UserShare, keyof Share | "quota">>;
  readonly counts: CountTable;
  readonly buckets: ShareTable<RateBucket>;
}

/** The limits of a user, a client or a target, and what is used of them; nothing where there are none. */
export function describeLimits(
  by: UsageKind,
  use: Use,
  limits: Limits,
  period: Period,
  tables: LimitTables,
): LimitFacts {
  const limited = findLimited(by, use.key, limits, tables);
  if (limited === undefined) return {};
  const { share, counts, buckets } = limited;
  const { connections = 0, rate, bandwidth, quota } = share;
  const { up, down } = bandwidth ?? {};
  const described = {
    ...(connections > 0 && { connections }),
    ...(rate && { requests_per_second: rate.perSecond }),
    ...(bandwidth && {
      bytes_per_second: {
        ...(up && { up: up.bytesPerSecond }),
        ...(down && { down: down.bytesPerSecond }),
      },
    }),
  };
  const used = {
    ...(connections > 0 && { connections: counts.count(use.key) }),
    // Part of a token is not there yet: it counts as used.
    ...(rate && { requests: Math.ceil(round(buckets.peek(use.key)?.value.usedAt(performance.now()) ?? 0)) }),
  };
  const describe = (limit: number, bytes: number, endsAt: number) => ({
    limit,
    used: bytes,
    left: Math.max(0, limit - bytes),
    resets_at: new Date(endsAt).toISOString(),
  });
  return {
    ...(Object.keys(described).length > 0 && { limits: described }),
    ...(Object.keys(used).length > 0 && { used }),
    ...(quota && {
      quota: {
        ...(quota.day !== undefined && { day: describe(quota.day, use.dayBytes(period), period.dayEndsAt) }),
        ...(quota.month !== undefined && { month: describe(quota.month, use.monthBytes(period), period.monthEndsAt) }),
      },
    }),
  };
}

function findLimited(
  by: UsageKind,
  key: string,
  limits: Limits,
  { admission, requestLimits }: LimitTables,
): Limited | undefined {
  switch (by) {
    case "user":
      return { share: findUserShare(limits, key), counts: admission.userCounts, buckets: requestLimits.users };
    case "client":
      return { share: limits.perClient, counts: admission.clientCounts, buckets: requestLimits.clients };
    case "target":
      return { share: limits.perTarget, counts: requestLimits.targetCounts, buckets: requestLimits.targets };
    case "upstream":
      return undefined;
    default:
      return by satisfies never;
  }
}

/** Sums of doubles are a little wrong. */
function round(tokens: number): number {
  return Math.round(tokens * 1e6) / 1e6;
}
