import { LaneClock, LaneLoop } from "./lane-loop.ts";
import { rehearse } from "./lane-rehearsal.ts";
import { header, mapLaneMemory } from "./lane-memory.ts";
import { measureClockOffset } from "../conn/monotonic-clock.ts";
import { TokenBuckets } from "../conn/token-buckets.ts";
import { openLibc } from "../libc/libc.ts";

/** The one message that the owner of a lane sends to its thread. */
export interface LaneOrder {
  readonly buffer: SharedArrayBuffer;
  readonly slots: number;
  readonly maxPipes: number;
  readonly pipeBytes: number;
  readonly epollFd: number;
  readonly wakeFd: number;
  readonly ownerFd: number;
  readonly buckets: SharedArrayBuffer | undefined;
  /** From the owner's `performance.now()` to the clock of the machine: both fill the same buckets by one clock. */
  readonly clockOffset: number;
}

/** Milliseconds that a rehearsal lasts at most. */
const rehearsalMs = 1000;

// The thread of a lane ends with its loop.
if (!Bun.isMainThread) {
  addEventListener("message", onOrder);
}

function onOrder(event: MessageEvent<LaneOrder>): void {
  removeEventListener("message", onOrder);
  const order = event.data;
  const libc = openLibc();
  if (libc === undefined) throw new Error("Cannot open the C library on the thread of a lane.");
  const ahead = measureClockOffset() - order.clockOffset;
  const clock = new LaneClock();
  const buckets = order.buckets && new TokenBuckets(order.buckets, () => clock.now + ahead);
  const memory = mapLaneMemory(order.buffer, order.slots, order.maxPipes);
  const rehearsedUntil = performance.now() + rehearsalMs;
  const mayRehearse = (): boolean =>
    Atomics.load(memory.header, header.rehearses) === 1 && performance.now() < rehearsedUntil;
  if (mayRehearse()) rehearse(libc, mayRehearse);
  new LaneLoop(libc, {
    memory,
    epollFd: order.epollFd,
    wakeFd: order.wakeFd,
    ownerFd: order.ownerFd,
    pipeBytes: order.pipeBytes,
    buckets,
    clock,
  }).run();
}
