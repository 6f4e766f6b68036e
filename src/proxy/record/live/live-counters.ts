import type { RequestRecord } from "../request-record.ts";
import { findLogBucket, LOG_BUCKETS } from "./log-histogram.ts";

/**
 * Counts for the live view that the metrics do not have: they tell of tunnels when
 * these are over. Nothing is counted as long as nobody can look.
 */
export class LiveCounters {
  enabled = false;
  /** Tunnels that have opened. */
  connects = 0;
  /** Dials of which the time was counted since `takeDials`: of tunnels when they open, of others when they are over. */
  dials = 0;
  readonly #dialTimes = new Uint32Array(LOG_BUCKETS);

  /** A tunnel has opened. */
  opened({ stageMs }: RequestRecord): void {
    if (!this.enabled) return;
    this.connects += 1;
    this.#countDial(stageMs.dial);
  }

  /** A request is over. `now` is monotonic, in milliseconds. */
  finished(record: RequestRecord, now: number): void {
    if (!this.enabled || record.tunnel !== undefined) return;
    this.#countDial(record.openStage === "dial" ? now - record.stageSince : record.stageMs.dial);
  }

  /** Puts the times of dials since the last call into `counts`, which has the buckets of `findLogBucket`. */
  takeDials(counts: Uint32Array): void {
    counts.set(this.#dialTimes);
    this.#dialTimes.fill(0);
    this.dials = 0;
  }

  #countDial(ms: number | undefined): void {
    if (ms === undefined) return;
    this.dials += 1;
    const bucket = findLogBucket(ms);
    this.#dialTimes[bucket] = (this.#dialTimes[bucket] ?? 0) + 1;
  }
}
