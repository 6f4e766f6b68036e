import type { Gate } from "./gate/gate.ts";
import { findUserShare } from "./proxy/limit/limits.ts";
import type { RateBucket } from "./proxy/limit/rate-bucket.ts";
import type { ShareTable } from "./proxy/limit/share-table.ts";
import type { SharedKind } from "./state/redis/fleet.ts";
import { type Buckets, openCountPort, openRatePort } from "./state/redis/limit-ports.ts";
import { SharedCounts } from "./state/redis/shared-counts.ts";
import { SharedRates } from "./state/redis/shared-rates.ts";

/** The rates and connection counts of a gate that are shared with other proxies. */
export interface SharedLimits {
  readonly kinds: readonly SharedKind[];
  /** The gate decides alone from now on. */
  stop(): void;
}

/**
 * Has the tables of a gate take part in a fleet. `limits.connections` is not shared:
 * it protects the memory and the descriptors of one process.
 */
export function shareLimits(
  { admission, requestLimits, runtime }: Gate,
  changed: (urgent: boolean) => void,
): SharedLimits {
  const limits = () => runtime.current.limits;
  const { all, sharing } = requestLimits;
  const counts = [
    { name: "users", table: admission.userCounts, limitOf: (key: string) => findUserShare(limits(), key).connections },
    { name: "clients", table: admission.clientCounts, limitOf: () => limits().perClient.connections },
    { name: "targets", table: requestLimits.targetCounts, limitOf: () => limits().perTarget.connections },
  ].map(({ name, table, limitOf }) => {
    const port = openCountPort(table, limitOf);
    const shared = new SharedCounts(`connections:${name}`, port, changed);
    table.changed = (key) => shared.changed(key);
    // What is open already counts, too.
    for (const { key } of table.entries()) shared.changed(key);
    return { port, shared };
  });
  const rates = [
    {
      name: "all",
      buckets: { sharing: sharing.all, find: () => all, all: () => [all] },
      rateOf: () => limits().inAll.rate,
    },
    {
      name: "users",
      buckets: readBuckets(requestLimits.users, sharing.users),
      rateOf: (key: string) => findUserShare(limits(), key).rate,
    },
    {
      name: "clients",
      buckets: readBuckets(requestLimits.clients, sharing.clients),
      rateOf: () => limits().perClient.rate,
    },
    {
      name: "targets",
      buckets: readBuckets(requestLimits.targets, sharing.targets),
      rateOf: () => limits().perTarget.rate,
    },
  ].map(({ name, buckets, rateOf }) => {
    const port = openRatePort(buckets, rateOf);
    const shared = new SharedRates(`rate:${name}`, port, changed);
    buckets.sharing.asked = (key) => shared.changed(key);
    return { port, shared };
  });
  const parts = [...rates, ...counts];
  return {
    kinds: parts.map(({ shared }) => shared),
    stop() {
      for (const { port } of parts) port.stop();
    },
  };
}

function readBuckets(table: ShareTable<RateBucket>, sharing: Buckets["sharing"]): Buckets {
  return {
    sharing,
    find: (key) => table.peek(key)?.value,
    all: () => Array.from(table.entries(), ({ value }) => value),
  };
}
