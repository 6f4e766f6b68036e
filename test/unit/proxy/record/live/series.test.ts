import { describe, expect, test } from "bun:test";
import { LiveCounters } from "../../../../../src/proxy/record/live/live-counters.ts";
import { findLogBucket, findQuantile, LOG_BUCKETS } from "../../../../../src/proxy/record/live/log-histogram.ts";
import { Series } from "../../../../../src/proxy/record/live/series.ts";
import { Metrics } from "../../../../../src/proxy/record/metrics.ts";
import { formatSeries } from "../../../../../src/sidecar/series.ts";
import { makeRequestRecord } from "../../../../support/make-record.ts";

/** A series with a clock that is set by hand. */
function makeStand() {
  const time = { now: 5000 };
  const bytes = { up: 0, down: 0 };
  const live = { size: 0 };
  const metrics = new Metrics();
  const counters = new LiveCounters();
  counters.enabled = true;
  const make = () => new Series({ traffic: () => bytes, counters, metrics, live, clock: () => time.now });
  const series = make();
  const pass = (ms: number) => {
    time.now += ms;
    return series.tick();
  };
  const dial = (ms: number) => counters.opened(makeRequestRecord({ stageMs: { dial: ms } }));
  return { time, bytes, live, metrics, counters, series, pass, dial, make };
}

describe("Series", () => {
  test("has for each second what was counted in it", () => {
    const { bytes, metrics, live, series, pass, dial } = makeStand();
    bytes.up = 100;
    live.size = 2;
    metrics.connectionsOpen = 3;
    dial(10);
    dial(20);
    expect(pass(1000)).toBe(true);
    metrics.requests = 4;
    metrics.failures.dns_error = 5;
    metrics.failures.dns_timeout = 1;
    pass(1000);
    expect(series.seconds.last("up")).toEqual([100, 0]);
    expect(series.seconds.last("connects")).toEqual([2, 0]);
    expect(series.seconds.last("requests")).toEqual([0, 4]);
    expect(series.seconds.last("refused")).toEqual([0, 6]);
    expect(series.seconds.last("tunnels")).toEqual([2, 2]);
    expect(series.seconds.last("connections")).toEqual([3, 3]);
    const [p50 = 0, none] = series.seconds.last("dialP50");
    expect(Math.abs(p50 / 10 - 1)).toBeLessThan(0.05);
    expect(none).toBeNaN();
  });

  test("does nothing within a second", () => {
    const { series, pass } = makeStand();
    expect(pass(999)).toBe(false);
    expect(series.dueInMs).toBe(1);
    expect(series.seconds.length).toBe(0);
    expect(pass(1)).toBe(true);
  });

  test("shares what was counted in a pause among its seconds, and loses nothing", () => {
    const { bytes, series, pass, dial } = makeStand();
    bytes.down = 1001;
    dial(1);
    pass(4100);
    expect(series.seconds.last("down")).toEqual([250, 250, 250, 251]);
    expect(series.seconds.last("connects")).toEqual([0, 0, 0, 1]);
    bytes.down += 7;
    pass(900);
    expect(series.seconds.last("down", 1)).toEqual([7]);
  });

  test("shares a long pause among minutes, too, and forgets the dials before it", () => {
    const { bytes, metrics, series, pass, dial } = makeStand();
    for (let second = 0; second < 85; second += 1) pass(1000);
    bytes.up = 7 * 1000 + 3;
    metrics.failures.dns_error = 2;
    pass(1_000_000);
    expect(series.seconds.count).toBe(1085);
    expect(series.seconds.last("up")).toEqual([...Array.from({ length: 899 }, () => 7), 10]);
    // 35 seconds of the pause are in the minute that was under way, and 5 in the one that is.
    expect(series.minutes.last("up")).toEqual([0, 35 * 7, ...Array.from({ length: 16 }, () => 60 * 7)]);
    expect(series.minutes.last("dialP50", 16).every(Number.isNaN)).toBe(true);
    expect(series.countFailures()).toEqual({});
    dial(5);
    pass(60_000);
    expect(series.minutes.last("up", 1)).toEqual([4 * 7 + 10]);
    dial(5);
    pass(119_000);
    expect(series.measureDials().count).toBe(1);
  });

  test("takes a pause of a thousand years as it takes one of a day", () => {
    const { bytes, series, pass } = makeStand();
    const seconds = 1000 * 365 * 86_400;
    bytes.down = seconds * 3 + 1;
    expect(pass(seconds * 1000)).toBe(true);
    expect(series.seconds.count).toBe(seconds);
    expect(series.seconds.last("down")).toEqual([...Array.from({ length: 899 }, () => 3), 4]);
    expect(series.minutes.count).toBe(seconds / 60);
    expect(series.minutes.last("down")).toEqual([...Array.from({ length: 1439 }, () => 180), 181]);
    expect(series.dueInMs).toBe(1000);
    expect(pass(1000)).toBe(true);
  });

  test("does nothing when the clock says nothing, or goes back", () => {
    const { time, series, pass } = makeStand();
    pass(2000);
    expect(pass(-1_000_000)).toBe(false);
    time.now = Number.NaN;
    expect(series.tick()).toBe(false);
    expect(series.seconds.count).toBe(2);
  });

  test("is never negative when bytes of a failed try are taken back", () => {
    const { bytes, series, pass } = makeStand();
    bytes.up = 100;
    pass(1000);
    bytes.up = 60;
    pass(1000);
    bytes.up = 130;
    pass(1000);
    expect(series.seconds.last("up")).toEqual([100, 0, 30]);
  });

  test("keeps 15 minutes of seconds and a day of minutes", () => {
    const { bytes, series, pass, dial } = makeStand();
    for (let second = 0; second < 1000; second += 1) {
      bytes.up += 1;
      if (second % 60 === 30) dial(50);
      pass(1000);
    }
    expect(series.seconds.last("up")).toHaveLength(900);
    expect(series.minutes.last("up")).toEqual(Array.from({ length: 16 }, () => 60));
    expect(series.minutes.last("connects")).toEqual(Array.from({ length: 16 }, () => 1));
    for (const p99 of series.minutes.last("dialP99")) expect(Math.abs(p99 / 50 - 1)).toBeLessThan(0.05);
    expect(series.seconds.at(99)).toBeUndefined();
    expect(series.seconds.at(100)).toMatchObject({ up: 1 });
    expect(series.seconds.at(1000)).toBeUndefined();
    pass(86_400_000);
    expect(series.minutes.last("up")).toHaveLength(1440);
  });

  test("measures rates over the last ten seconds, and dials over the last minute", () => {
    const { bytes, series, pass, dial } = makeStand();
    expect(series.measureRates()).toEqual({ up: 0, down: 0, connects: 0, requests: 0 });
    bytes.up = 900;
    for (const ms of [1, 2, 3, 400]) dial(ms);
    for (let second = 0; second < 9; second += 1) pass(1000);
    expect(series.measureRates()).toMatchObject({ up: 100, connects: 4 / 9 });
    pass(1000);
    expect(series.measureRates()).toMatchObject({ up: 90 });
    pass(1000);
    expect(series.measureRates()).toMatchObject({ up: 0, connects: 0 });
    expect(series.measureDials().count).toBe(4);
    expect(Math.abs(series.measureDials().p99 / 400 - 1)).toBeLessThan(0.05);
    for (let second = 0; second < 50; second += 1) pass(1000);
    expect(series.measureDials()).toEqual({ count: 0, p50: Number.NaN, p99: Number.NaN });
  });

  test("forgets failures after 15 minutes, and names the most frequent first", () => {
    const { metrics, series, pass } = makeStand();
    metrics.failures.dns_error = 1;
    metrics.failures.denied_by_rule = 3;
    expect(Object.entries(series.countFailures())).toEqual([
      ["denied_by_rule", 3],
      ["dns_error", 1],
    ]);
    for (let minute = 0; minute < 14; minute += 1) pass(60_000);
    expect(series.countFailures()).toEqual({ denied_by_rule: 3, dns_error: 1 });
    metrics.failures.dns_error += 1;
    pass(60_000);
    expect(series.countFailures()).toEqual({ dns_error: 1 });
  });

  test("goes on in another process, with a pause for the time between", () => {
    const { time, bytes, series, pass, make } = makeStand();
    for (let second = 0; second < 70; second += 1) {
      bytes.up += 2;
      pass(1000);
    }
    const saved = series.save();
    time.now += 3000;
    const next = make();
    expect(next.restore(saved)).toBe(true);
    bytes.up += 5;
    time.now += 1000;
    next.tick();
    expect(next.seconds.last("up", 5)).toEqual([2, 1, 1, 1, 2]);
    expect(next.seconds.count).toBe(74);
    expect(next.minutes.last("up")).toEqual([120]);
  });

  test("takes over nothing that it does not understand, or that is too old", () => {
    const { series, make, pass } = makeStand();
    pass(1000);
    const saved = series.save();
    expect(make().restore({ ...saved, seconds: "AAAA" })).toBe(false);
    const unchanged = make();
    expect(unchanged.restore({ ...saved, minutes: "AAAA" })).toBe(false);
    expect([unchanged.seconds.count, unchanged.minutes.count]).toEqual([make().seconds.count, make().minutes.count]);
    expect(make().restore({ ...saved, count: -1 })).toBe(false);
    expect(make().restore({ ...saved, minuteCount: 1 })).toBe(false);
    const far = Number.MAX_SAFE_INTEGER;
    expect(make().restore({ ...saved, count: far, minuteCount: Math.floor(far / 60), beganAt: -far * 1000 })).toBe(
      false,
    );
    const next = make();
    expect(next.restore({ ...saved, beganAt: -1e9 })).toBe(true);
    expect(next.seconds.count).toBe(0);
  });

  test("is told with the times of its steps, by the clock of the system at the moment", () => {
    const { series, pass } = makeStand();
    for (let second = 0; second < 125; second += 1) pass(1000);
    pass(400);
    const now = Date.parse("2026-11-28T12:00:00.400Z");
    expect(formatSeries(series, "15m", now)).toMatchObject({ from: "2026-11-28T11:57:55.000Z", last: 124 });
    expect(formatSeries(series, "1d", now)).toMatchObject({ from: "2026-11-28T11:57:55.000Z", step_ms: 60_000 });
    expect(formatSeries(series, "1d", now).up).toHaveLength(2);
    expect(formatSeries(series, "15m", now).dial_p50_ms[0]).toBeNull();
  });
});

describe("LiveCounters", () => {
  test("count nothing as long as nobody can look", () => {
    const counters = new LiveCounters();
    counters.opened(makeRequestRecord({ stageMs: { dial: 1 } }));
    counters.finished(makeRequestRecord({ stageMs: { dial: 1 } }), 0);
    expect([counters.connects, counters.dials]).toEqual([0, 0]);
  });

  test("count a dial once: of a tunnel when it opens, of others when they are over", () => {
    const counters = new LiveCounters();
    counters.enabled = true;
    const tunnel = makeRequestRecord({ stageMs: { dial: 1 } });
    counters.opened(tunnel);
    tunnel.tunnel = { end: "closed", bytesUp: 0, bytesDown: 0 };
    counters.finished(tunnel, 0);
    expect([counters.connects, counters.dials]).toEqual([1, 1]);
    counters.finished(makeRequestRecord({ stage: "respond", stageMs: { dial: 1 } }), 0);
    counters.finished(makeRequestRecord({ stage: "dial", stageSince: 0 }), 30);
    counters.finished(makeRequestRecord({ stage: "decide" }), 30);
    expect([counters.connects, counters.dials]).toEqual([1, 3]);
  });
});

describe("the buckets of durations", () => {
  test("are exact to 5 % from a tenth of a millisecond to a minute", () => {
    for (let ms = 0.1; ms < 60_000; ms *= 1.07) {
      const counts = new Uint32Array(LOG_BUCKETS);
      counts[findLogBucket(ms)] = 1;
      expect(Math.abs(findQuantile(counts, 0.5) / ms - 1)).toBeLessThan(0.05);
    }
  });

  test("hold what is longer or shorter", () => {
    expect(findLogBucket(0)).toBe(0);
    expect(findLogBucket(Number.NaN)).toBe(0);
    expect(findLogBucket(1e9)).toBe(LOG_BUCKETS - 1);
    expect(findQuantile(new Uint32Array(LOG_BUCKETS), 0.5)).toBeNaN();
  });
});
