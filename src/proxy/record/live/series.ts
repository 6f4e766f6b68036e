import type { Metrics } from "../metrics.ts";
import type { LiveCounters } from "./live-counters.ts";
import { findQuantile, LOG_BUCKETS } from "./log-histogram.ts";
import { type Step, StepRing } from "./step-ring.ts";

const SECOND_MS = 1000;
/** Seconds in a minute, which are summed up to a step. */
const MINUTE = 60;
/** 15 minutes of seconds, and a day of minutes. */
const SECONDS_KEPT = 900;
const MINUTES_KEPT = 1440;
/** Counts of failures at ends of minutes: the difference to the oldest, of 14 to 15 minutes ago, is what is told. */
const FAILURE_MINUTES = 15;
/** Seconds over which rates are measured. */
const RATE_SECONDS = 10;

/** Where the figures come from: all are counted already, and none takes longer with more tunnels. */
export interface SeriesSources {
  /** Bytes since the start, those of what is under way included. */
  readonly traffic: () => { readonly up: number; readonly down: number };
  readonly counters: LiveCounters;
  readonly metrics: Pick<Metrics, "connectionsOpen" | "requests" | "failures">;
  readonly live: { readonly size: number };
  /** Monotonic milliseconds. */
  readonly clock?: () => number;
}

/** Counts that only grow. */
interface Totals {
  readonly up: number;
  readonly down: number;
  readonly connects: number;
  readonly requests: number;
  readonly refused: number;
}

/** A series as another process takes it over. */
export interface SavedSeries {
  readonly seconds: string;
  readonly minutes: string;
  /** Steps that were added to them. */
  readonly count: number;
  readonly minuteCount: number;
  /** Monotonic milliseconds at which the first second began. */
  readonly beganAt: number;
}

/**
 * What went through the proxy, by second and by minute. Steps follow the monotonic
 * clock: that of the system may be set. After a pause, in which nobody could look,
 * the steps that were missed share what was counted meanwhile.
 */
export class Series {
  readonly seconds = new StepRing(SECONDS_KEPT);
  readonly minutes = new StepRing(MINUTES_KEPT);
  readonly #sources: SeriesSources;
  readonly #clock: () => number;
  /** When the first step began. */
  #since: number;
  /** The times of dials, by second of a minute. */
  readonly #dials = new Uint32Array(MINUTE * LOG_BUCKETS);
  #before: Totals;
  /** Failures by word at the end of each of the last minutes, the oldest first. */
  readonly #failures: Uint32Array[];

  constructor(sources: SeriesSources) {
    this.#sources = sources;
    this.#clock = sources.clock ?? (() => performance.now());
    this.#since = this.#clock();
    this.#before = this.#readTotals();
    this.#failures = [this.#readFailures()];
  }

  /** Milliseconds until the second that is under way has ended. */
  get dueInMs(): number {
    return Math.max(0, this.#since + (this.seconds.count + 1) * SECOND_MS - this.#clock());
  }

  /** Milliseconds since the last step ended. */
  get sinceLastMs(): number {
    return this.#clock() - this.#since - this.seconds.count * SECOND_MS;
  }

  /** Ends every second that is over. False when none is. */
  tick(): boolean {
    const passed = Math.floor((this.#clock() - this.#since) / SECOND_MS) - this.seconds.count;
    if (!(passed > 0)) return false;
    const totals = this.#readTotals();
    const { connectionsOpen: connections } = this.#sources.metrics;
    const tunnels = this.#sources.live.size;
    // Those before the last one get a share of what was counted, in whole numbers.
    const shares = mapTotals((name) => Math.floor((totals[name] - this.#before[name]) / passed));
    const ending = { connections, tunnels, dialP50: Number.NaN, dialP99: Number.NaN };
    this.#miss({ ...shares, ...ending }, passed - 1);
    const last = mapTotals((name) => totals[name] - this.#before[name] - shares[name] * (passed - 1));
    this.#before = totals;
    this.#add({ ...last, ...ending }, true);
    return true;
  }

  /** Bytes, tunnels and requests per second, a moment ago. */
  measureRates(): { readonly up: number; readonly down: number; readonly connects: number; readonly requests: number } {
    const seconds = Math.max(1, Math.min(RATE_SECONDS, this.seconds.length));
    const measure = (name: "up" | "down" | "connects" | "requests"): number =>
      this.seconds.sum(name, RATE_SECONDS) / seconds;
    return { up: measure("up"), down: measure("down"), connects: measure("connects"), requests: measure("requests") };
  }

  /** The dials of the last minute. */
  measureDials(): { readonly count: number; readonly p50: number; readonly p99: number } {
    const counts = this.#sumDials();
    const count = counts.reduce((sum, each) => sum + each, 0);
    return { count, p50: findQuantile(counts, 0.5), p99: findQuantile(counts, 0.99) };
  }

  /** Failures of the last 15 minutes by word, those that there were. */
  countFailures(): Record<string, number> {
    const [oldest = new Uint32Array(0)] = this.#failures;
    const { failures } = this.#sources.metrics;
    const counted = Object.entries(failures).map(([word, count], at) => [word, count - (oldest[at] ?? 0)] as const);
    return Object.fromEntries(counted.filter(([, count]) => count > 0).sort(([, one], [, other]) => other - one));
  }

  save(): SavedSeries & Readonly<Record<string, string | number>> {
    const { seconds, minutes } = this;
    return {
      seconds: seconds.save(),
      minutes: minutes.save(),
      count: seconds.count,
      minuteCount: minutes.count,
      beganAt: this.#since,
    };
  }

  /** Goes on where another process was: the time since then is a pause. False when that is not understood. */
  restore({ seconds, minutes, count, minuteCount, beganAt }: SavedSeries): boolean {
    if (!Number.isSafeInteger(count * SECOND_MS) || minuteCount !== Math.floor(count / MINUTE)) return false;
    // In the future, or older than all that is kept: nothing of it would be seen.
    const age = this.#clock() - beganAt - count * SECOND_MS;
    if (!(age >= -SECOND_MS && age < MINUTES_KEPT * MINUTE * SECOND_MS)) return true;
    const restoreSeconds = this.seconds.prepare(seconds, count);
    const restoreMinutes = this.minutes.prepare(minutes, minuteCount);
    if (restoreSeconds === undefined || restoreMinutes === undefined) return false;
    restoreSeconds();
    restoreMinutes();
    this.#since = beganAt;
    return true;
  }

  /** Adds `count` equal seconds without a dial. Takes no longer after a pause of years than after one of a day. */
  #miss(second: Step, count: number): void {
    let left = count;
    // To the end of the minute that is under way, whole minutes, and the beginning of the last one.
    for (; left > 0 && (this.seconds.count % MINUTE !== 0 || left < MINUTE); left -= 1) this.#add(second, false);
    const minutes = Math.floor(left / MINUTE);
    if (minutes === 0) return;
    this.#dials.fill(0);
    this.seconds.add(second, minutes * MINUTE);
    this.minutes.add({ ...second, ...mapTotals((name) => second[name] * MINUTE) }, minutes);
    for (let told = Math.min(minutes, FAILURE_MINUTES); told > 0; told -= 1) this.#addFailures();
    this.#miss(second, left % MINUTE);
  }

  /** `counts`: whether the times of dials that were counted belong to it. */
  #add(step: Step, counts: boolean): void {
    const row = (this.seconds.count % MINUTE) * LOG_BUCKETS;
    const dials = this.#dials.subarray(row, row + LOG_BUCKETS);
    const { counters } = this.#sources;
    let timed = step;
    if (counts && counters.dials > 0) {
      counters.takeDials(dials);
      timed = { ...step, dialP50: findQuantile(dials, 0.5), dialP99: findQuantile(dials, 0.99) };
    } else dials.fill(0);
    this.seconds.add(timed);
    if (this.seconds.count % MINUTE === 0) this.#addMinute(step);
  }

  #addMinute({ connections, tunnels }: Step): void {
    const dials = this.#sumDials();
    this.minutes.add({
      ...mapTotals((name) => this.seconds.sum(name, MINUTE)),
      connections,
      tunnels,
      dialP50: findQuantile(dials, 0.5),
      dialP99: findQuantile(dials, 0.99),
    });
    this.#addFailures();
  }

  #addFailures(): void {
    this.#failures.push(this.#readFailures());
    if (this.#failures.length > FAILURE_MINUTES) this.#failures.shift();
  }

  #sumDials(): Uint32Array {
    const sum = new Uint32Array(LOG_BUCKETS);
    for (let row = 0; row < this.#dials.length; row += LOG_BUCKETS)
      for (let bucket = 0; bucket < LOG_BUCKETS; bucket += 1)
        sum[bucket] = (sum[bucket] ?? 0) + (this.#dials[row + bucket] ?? 0);
    return sum;
  }

  /** None is less than before: what a failed try of a request has moved is taken back. */
  #readTotals(): Totals {
    const { traffic, counters, metrics } = this.#sources;
    const { up, down } = traffic();
    let refused = 0;
    for (const count of Object.values(metrics.failures)) refused += count;
    const totals = { up, down, connects: counters.connects, requests: metrics.requests, refused };
    const before: Totals | undefined = this.#before;
    return before === undefined ? totals : mapTotals((name) => Math.max(totals[name], before[name]));
  }

  #readFailures(): Uint32Array {
    return Uint32Array.from(Object.values(this.#sources.metrics.failures));
  }
}

function mapTotals(read: (name: keyof Totals) => number): Totals {
  return {
    up: read("up"),
    down: read("down"),
    connects: read("connects"),
    requests: read("requests"),
    refused: read("refused"),
  };
}
