import type { MessageLevel, Tell } from "../../operator-message.ts";
import type { PoolEvent } from "../upstream/pool.ts";
import { QuietTeller } from "./quiet-teller.ts";

type HealthEvent = Extract<PoolEvent, { kind: "health" }>;

/** Messages about one member in a window of this many milliseconds. What follows is told when the window is over. */
const MAX_PER_MEMBER = 4;
const WINDOW_MS = 10_000;

/** Members in one window: a large pool that loses its network fills no log. */
const MAX_MEMBERS = 64;

interface Window {
  readonly since: number;
  told: number;
  /** The newest change that was not told, and how many there were. */
  latest: HealthEvent | undefined;
  untold: number;
}

export interface PoolReporterOptions {
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
  /** Calls back after some milliseconds; does not keep the process. */
  readonly later?: (callback: () => void, ms: number) => void;
}

/**
 * Tells the operator when the health of a member changes, and when sessions move.
 * A member that changes often is told of four times in ten seconds, and then with
 * its last state and the number in between: the last message always holds.
 */
export class PoolReporter {
  readonly #tell: Tell;
  readonly #now: () => number;
  readonly #later: NonNullable<PoolReporterOptions["later"]>;
  readonly #moves: QuietTeller;
  readonly #windows = new Map<string, Window>();
  #timer = false;
  /** Changes left out because too many members changed. */
  #leftOut = 0;

  constructor(tell: Tell, { now = () => performance.now(), later = wait }: PoolReporterOptions = {}) {
    this.#tell = tell;
    this.#now = now;
    this.#later = later;
    this.#moves = new QuietTeller((message) => tell(message, "info"), now);
  }

  report(event: PoolEvent): void {
    if (event.kind === "health") this.#reportHealth(event);
    else this.#reportMove(event);
  }

  #reportHealth(event: HealthEvent): void {
    const now = this.#now();
    const key = `${event.pool}/${event.member}`;
    let window = this.#windows.get(key);
    if (window === undefined) {
      if (this.#windows.size >= MAX_MEMBERS) {
        this.#leftOut += 1;
        return;
      }
      window = { since: now, told: 0, latest: undefined, untold: 0 };
      this.#windows.set(key, window);
      this.#arm(WINDOW_MS);
    }
    if (window.told < MAX_PER_MEMBER) {
      window.told += 1;
      this.#tell(describeHealth(event), levelOf(event));
      return;
    }
    window.latest = event;
    window.untold += 1;
  }

  #arm(ms: number): void {
    if (this.#timer) return;
    this.#timer = true;
    this.#later(() => {
      this.#timer = false;
      this.#close();
    }, ms);
  }

  /** Ends the windows whose time is over, and tells what they held back. */
  #close(): void {
    const now = this.#now();
    let next = Infinity;
    for (const [key, { since, latest, untold }] of this.#windows) {
      const leftMs = since + WINDOW_MS - now;
      if (leftMs > 0) {
        next = Math.min(next, leftMs);
        continue;
      }
      this.#windows.delete(key);
      if (latest === undefined) continue;
      const others = untold === 1 ? "" : ` Its health changed ${untold} times since the last message.`;
      this.#tell(`${describeHealth(latest)}${others}`, levelOf(latest));
    }
    if (this.#leftOut > 0) {
      this.#tell(
        `Upstreams: ${this.#leftOut} more changes of health were not told, because too many members changed at once. "penstock upstreams" shows them.`,
        "warn",
      );
      this.#leftOut = 0;
    }
    if (next !== Infinity) this.#arm(next);
  }

  #reportMove({ pool, from, to }: Extract<PoolEvent, { kind: "moved" }>): void {
    this.#moves.report(`${pool} ${from} ${to}`, (silenced) => {
      const more = silenced === 0 ? "" : ` ${silenced} more moved before it.`;
      return `Upstream ${pool}: a session moved from ${from} to ${to}.${more}`;
    });
  }
}

function levelOf({ state }: HealthEvent): MessageLevel {
  return state === "ejected" || state === "down" ? "warn" : "info";
}

function describeHealth({ pool, member, state, reason, failures, forMs }: HealthEvent): string {
  const duration = forMs === undefined ? "" : ` for ${formatSeconds(forMs)}`;
  const after = failures === undefined || failures < 2 ? "" : ` after ${failures} failures`;
  return `Upstream ${pool}: ${member} is ${state}${duration}${after} (${reason}).`;
}

function formatSeconds(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

function wait(callback: () => void, ms: number): void {
  setTimeout(callback, ms).unref();
}
