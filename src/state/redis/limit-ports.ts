import type { CountTable } from "../../proxy/limit/count-table.ts";
import type { Rate } from "../../proxy/limit/limits.ts";
import type { RateBucket, RateSharing } from "../../proxy/limit/rate-bucket.ts";
import type { CountTable as CountPort } from "./shared-counts.ts";
import type { RateTable as RatePort } from "./shared-rates.ts";

/** Connections by key, as the fleet sees them. `limitOf` gives 0 for no limit. What the fleet still hears after `stop` changes nothing. */
export function openCountPort(counts: CountTable, limitOf: (key: string) => number): CountPort {
  let isStopped = false;
  return {
    read(key) {
      const limit = limitOf(key);
      return limit === 0 ? undefined : { held: counts.count(key), limit };
    },
    lease(key, lease) {
      if (!isStopped) counts.lend(key, lease);
    },
    share(proxies) {
      if (!isStopped) counts.parts = proxies;
    },
    stop() {
      isStopped = true;
      counts.changed = undefined;
      counts.parts = 1;
      for (const { key } of counts.entries()) counts.lend(key, undefined);
    },
  };
}

/** Where the buckets of a table are. */
export interface Buckets {
  readonly sharing: RateSharing;
  readonly find: (key: string) => RateBucket | undefined;
  readonly all: () => Iterable<RateBucket>;
}

/** Token buckets by key, as the fleet sees them. `rateOf` gives undefined for no limit. What the fleet still hears after `stop` changes nothing. */
export function openRatePort(
  { sharing, find, all }: Buckets,
  rateOf: (key: string) => Rate | undefined,
  now = () => performance.now(),
): RatePort {
  let isStopped = false;
  return {
    read(key) {
      const [bucket, rate] = [find(key), rateOf(key)];
      if (bucket === undefined || rate === undefined) return undefined;
      return { taken: bucket.taken, tokens: bucket.tokensAt(rate, now()), ...rate };
    },
    fill(key, tokens, users) {
      if (isStopped) return;
      const rate = rateOf(key);
      if (rate !== undefined) find(key)?.fill(rate, tokens, 1 / users, now());
    },
    share(proxies) {
      if (!isStopped) sharing.share = 1 / proxies;
    },
    stop() {
      isStopped = true;
      sharing.asked = undefined;
      sharing.share = 1;
      for (const bucket of all()) bucket.share = 1;
    },
  };
}
