import { expect, test } from "bun:test";
import { RateBucket, type RateSharing } from "../../../../src/proxy/limit/rate-bucket.ts";
import { openRatePort } from "../../../../src/state/redis/limit-ports.ts";
import { SharedRates } from "../../../../src/state/redis/shared-rates.ts";

const RATE = { perSecond: 10, burst: 20 };

/** A bucket that is shared once `connect` is called, on a clock that a test moves. */
function makeBucket() {
  const time = { now: 1000 };
  const sharing: RateSharing = { asked: undefined, share: 1 };
  const bucket = new RateBucket("ci", sharing);
  const port = openRatePort(
    { sharing, find: () => bucket, all: () => [bucket] },
    () => RATE,
    () => time.now,
  );
  const rates = new SharedRates(
    "rate:users",
    port,
    () => {},
    () => time.now,
  );
  return {
    time,
    bucket,
    rates,
    connect() {
      sharing.asked = (key) => rates.changed(key);
    },
    take(count: number) {
      for (let at = 0; at < count; at += 1) {
        bucket.settle(RATE, time.now);
        bucket.take();
      }
    },
    /** What the next exchange tells of the bucket, which Redis answers with so many tokens. */
    exchange(tokens: number): string[] {
      return rates.collect(10).map(({ key, values, settle }) => {
        settle(String(tokens), "1");
        return `${key} ${values[0]}`;
      });
    },
  };
}

test("what was taken from a bucket is told once, also after nobody took anything for a while", () => {
  const { time, rates, connect, take, exchange } = makeBucket();
  connect();
  take(15);
  expect(exchange(5)).toEqual(["rate:users:ci 15"]);
  time.now += 3000;
  expect(exchange(20)).toEqual(["rate:users:ci 0"]);
  expect([rates.isActive, exchange(20)]).toEqual([false, []]);
  take(2);
  expect(exchange(18)).toEqual(["rate:users:ci 2"]);
});

test("what was taken before a bucket was shared is not told", () => {
  const { connect, take, exchange } = makeBucket();
  take(15);
  connect();
  take(1);
  expect(exchange(19)).toEqual(["rate:users:ci 1"]);
});
