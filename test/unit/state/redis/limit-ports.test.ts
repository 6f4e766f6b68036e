import { expect, test } from "bun:test";
import { CountTable } from "../../../../src/proxy/limit/count-table.ts";
import { RateBucket, type RateSharing } from "../../../../src/proxy/limit/rate-bucket.ts";
import { Fleet } from "../../../../src/state/redis/fleet.ts";
import { openCountPort, openRatePort } from "../../../../src/state/redis/limit-ports.ts";
import type { Reply } from "../../../../src/state/redis/redis-link.ts";
import { SharedCounts } from "../../../../src/state/redis/shared-counts.ts";
import { SharedRates } from "../../../../src/state/redis/shared-rates.ts";

const RATE = { perSecond: 10, burst: 20 };

test("an exchange that is answered after the end of sharing divides no limits", async () => {
  const counts = new CountTable();
  const sharing: RateSharing = { asked: undefined, share: 1 };
  const bucket = new RateBucket("ci", sharing);
  const countPort = openCountPort(counts, () => 4);
  const ratePort = openRatePort({ sharing, find: () => bucket, all: () => [bucket] }, () => RATE);
  const changed = (urgent: boolean) => fleet.changed(urgent);
  const shared = new SharedCounts("connections:users", countPort, changed);
  const rates = new SharedRates("rate:users", ratePort, changed);
  const asked = Promise.withResolvers<void>();
  const answer = Promise.withResolvers<Reply>();
  const fleet = new Fleet({
    link: {
      run() {
        asked.resolve();
        return answer.promise;
      },
      close: () => {},
    },
    kinds: [rates, shared],
    id: "me",
    prefix: "test:",
    report: () => {},
  });
  counts.changed = (key) => shared.changed(key);
  sharing.asked = (key) => rates.changed(key);
  counts.add("ci");
  bucket.settle(RATE, performance.now());
  fleet.start();
  await asked.promise;
  const exchanged = fleet.exchanged();
  // As a reload does that removes "state.redis".
  for (const port of [countPort, ratePort]) port.stop();
  const stopped = fleet.stop();
  // Two proxies, half of the bucket, and a lease of one connection.
  answer.resolve({
    ok: true,
    value: [
      2,
      1,
      [
        ["10", "2"],
        ["1", "ok"],
      ],
    ],
  });
  await Promise.all([exchanged, stopped]);
  expect([fleet.proxies, counts.parts, counts.hasRoom("ci", 4)]).toEqual([2, 1, true]);
  expect([sharing.share, bucket.share]).toEqual([1, 1]);
});
