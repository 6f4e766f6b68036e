import type { Detachable } from "../conn/conn.ts";
import type { LanedTunnel, LanePool, LaneSockets, LanesResult, LaneStatus } from "../conn/lanes.ts";
import type { TokenBuckets } from "../conn/token-buckets.ts";
import { Lane } from "./lane.ts";
import { openLibc, type Libc } from "../libc/libc.ts";
import { runSelfTest } from "./self-test.ts";

export interface LanePoolOptions {
  /** Threads at most. Default: one for every two cores, at least one, at most four. */
  readonly lanes?: number;
  /** Tunnels per lane at most. Default: 16,384. */
  readonly slotsPerLane?: number;
  /** Pipes of all lanes together. Default: 48, three quarters of what an unprivileged user may have of 1 MiB each. Without a pipe bytes are copied. */
  readonly maxPipes?: number;
  /** Bytes per pipe to ask the kernel for. Default: 1 MiB; measured to halve the cost against the usual 64 KiB. */
  readonly pipeBytes?: number;
  /** What the budgets of tunnels are made of. Without them every tunnel is unlimited. */
  readonly buckets?: TokenBuckets;
  /** Called when the thread of a lane died, and when one could not be started. For the log. */
  readonly onTrouble?: (message: string) => void;
}

/** Milliseconds before a lane is started after one that died or failed to start. */
const restartPauseMs = 1_000;

/**
 * Tests whether this system can splice, and prepares lanes if so. The first
 * thread starts when room is asked for. Never throws: without lanes, the relay
 * carries everything.
 */
export function startLanes(options: LanePoolOptions = {}): LanesResult {
  const test = runSelfTest(options.pipeBytes);
  if (!test.ok) return test;
  const libc = openLibc();
  if (libc === undefined) return { ok: false, reason: "The C library cannot be opened." };
  return { ok: true, pool: new ThreadedLanePool(libc, options), pipeBytes: test.pipeBytes };
}

class ThreadedLanePool implements LanePool {
  readonly limits: boolean;
  readonly #libc: Libc;
  readonly #lanes: Lane[] = [];
  readonly #maxLanes: number;
  readonly #slots: number;
  readonly #maxPipes: number;
  readonly #pipeBytes: number;
  readonly #buckets: TokenBuckets | undefined;
  readonly #onTrouble: (message: string) => void;
  #lost = 0;
  #movedByLost = { up: 0, down: 0 };
  #startedAt = -Infinity;
  #troubled = false;
  #stopped = false;

  constructor(libc: Libc, options: LanePoolOptions) {
    this.#libc = libc;
    this.#maxLanes = options.lanes ?? Math.max(1, Math.min(4, Math.floor(navigator.hardwareConcurrency / 2)));
    this.#slots = options.slotsPerLane ?? 16_384;
    this.#maxPipes = Math.ceil((options.maxPipes ?? 48) / this.#maxLanes);
    this.#pipeBytes = options.pipeBytes ?? 1_048_576;
    this.#buckets = options.buckets;
    this.limits = options.buckets !== undefined;
    this.#onTrouble = options.onTrouble ?? (() => undefined);
  }

  hasRoom(): boolean {
    const lane = this.#choose();
    if (lane === undefined) this.#endRehearsals();
    if (lane === undefined || lane.open > 0) this.#grow();
    return lane !== undefined;
  }

  adopt(sockets: LaneSockets): LanedTunnel {
    const lane = this.#choose();
    if (lane === undefined) throw new Error("A tunnel was handed to splice lanes that have no room for it.");
    return lane.adopt(sockets);
  }

  takeOver(first: Detachable, second: Detachable): readonly [number, number] | undefined {
    const firstFd = first.take();
    if (firstFd < 0) return undefined;
    const secondFd = second.take();
    if (secondFd < 0) {
      first.giveBack(firstFd);
      return undefined;
    }
    first.leave();
    second.leave();
    return [firstFd, secondFd];
  }

  rehearse(): () => void {
    if (this.#lanes.length === 0) this.#grow(true);
    return () => this.#endRehearsals();
  }

  async warm(): Promise<boolean> {
    this.#grow();
    const results = await Promise.all(this.#lanes.map((lane) => lane.ready));
    return results.includes(true);
  }

  status(): LaneStatus {
    return {
      lanes: this.#lanes.length,
      tunnels: this.#lanes.reduce((sum, lane) => sum + lane.open, 0),
      lost: this.#lost,
    };
  }

  moved(): { up: number; down: number } {
    let { up, down } = this.#movedByLost;
    for (const lane of this.#lanes) {
      const moved = lane.moved();
      up += moved.up;
      down += moved.down;
    }
    return { up, down };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#lanes.map((lane) => lane.stop()));
    this.#lanes.length = 0;
  }

  crashOne(): boolean {
    const lane = this.#lanes.find((candidate) => candidate.state === "running");
    lane?.crash();
    return lane !== undefined;
  }

  #choose(): Lane | undefined {
    let best: Lane | undefined;
    for (const lane of this.#lanes) if (lane.hasRoom && (best === undefined || lane.open < best.open)) best = lane;
    return best;
  }

  #endRehearsals(): void {
    for (const lane of this.#lanes) lane.endRehearsal();
  }

  /** Starts one more lane, unless there are enough, one is starting, or the last one failed a moment ago. */
  #grow(rehearses = false): void {
    if (this.#stopped || this.#lanes.length >= this.#maxLanes) return;
    if (this.#lanes.some((lane) => lane.state === "starting")) return;
    const now = performance.now();
    if (this.#troubled && now - this.#startedAt < restartPauseMs) return;
    this.#startedAt = now;
    this.#troubled = false;
    try {
      const options = {
        slots: this.#slots,
        maxPipes: this.#maxPipes,
        pipeBytes: this.#pipeBytes,
        buckets: this.#buckets,
        rehearses,
      };
      this.#lanes.push(new Lane(this.#libc, options, (lane) => this.#forget(lane)));
    } catch (error) {
      this.#troubled = true;
      this.#onTrouble(error instanceof Error ? error.message : String(error));
    }
  }

  /** A lane died. Another one starts when room is asked for. */
  #forget(lane: Lane): void {
    this.#lanes.splice(this.#lanes.indexOf(lane), 1);
    this.#lost += 1;
    const { up, down } = lane.moved();
    this.#movedByLost = { up: this.#movedByLost.up + up, down: this.#movedByLost.down + down };
    this.#troubled = true;
    this.#onTrouble("A splice lane died. Its tunnels were reset; new ones stay in the relay until another lane runs.");
  }
}
