import { createEpoll } from "../epoll/epoll.ts";
import { O_CLOEXEC, O_NONBLOCK } from "../libc/constants.ts";
import type { Libc } from "../libc/libc.ts";
import { openSocketPair } from "../libc/socket.ts";
import { TokenBuckets } from "../conn/token-buckets.ts";
import { LaneClock, LaneLoop } from "./lane-loop.ts";
import { command, createLaneMemory, limitedBit, pushCommand, slot, slotWords, type LaneMemory } from "./lane-memory.ts";

const TUNNELS = 2;
/** The default of Linux: a rehearsal takes none of the memory that an unprivileged user has for pipes. */
const PIPE_BYTES = 65_536;
/** Turns of 20 kB are the smallest that are bulk. */
const LIMIT = { bytesPerSecond: 200_000, burstBytes: 20_000 };
/** Bytes that go round each way. */
const ROUND_BYTES = 50_000;

/**
 * Has the runtime compile the code that serves tunnels under a limit, before the
 * first of them comes: compiled while they wait for their turns ten times a
 * second, it would cost more than their bytes. Runs a lane on this thread whose
 * two tunnels are a ring of socket pairs. In it some bytes go round, each way. No
 * time is spent waiting. Before each wait `mayGoOn` is asked. Leaves nothing
 * open, and returns how often the lane would have waited.
 */
export function rehearse(libc: Libc, mayGoOn: () => boolean): number {
  const pairs = Array.from({ length: 3 }, () => openSocketPair(libc) ?? [-1, -1]);
  const [[a, b], [c, d], [owner, ownOwner]] = pairs as [Pair, Pair, Pair];
  const epollFd = createEpoll(libc);
  const wakeFd = libc.eventFd(0, O_NONBLOCK | O_CLOEXEC);
  const own = [epollFd, wakeFd, owner, ownOwner];
  const all = [a, b, c, d, ...own];
  let waits = 0;
  const isReady = all.every((fd) => fd >= 0);
  if (isReady) {
    const memory = createLaneMemory(TUNNELS, TUNNELS * 2);
    const clock = new LaneClock(() => {
      waits += 1;
      if (!mayGoOn()) pushCommand(memory, command.stop, 0);
    });
    const buckets = new TokenBuckets(TokenBuckets.create(2).buffer, () => clock.now);
    for (const bucket of [0, 1]) buckets.set(bucket, LIMIT);
    const bytes = new Uint8Array(ROUND_BYTES);
    for (const fd of [a, d]) libc.write(fd, bytes, bytes.length);
    adopt(memory, 0, b, c);
    adopt(memory, 1, d, a);
    new LaneLoop(libc, { memory, epollFd, wakeFd, ownerFd: ownOwner, pipeBytes: PIPE_BYTES, buckets, clock }).run();
  }
  // The lane has closed the sockets of its tunnels.
  for (const fd of isReady ? own : all) if (fd >= 0) libc.close(fd);
  return waits;
}

type Pair = readonly [number, number];

/** As the owner of a lane does it. Bytes up come from the first bucket, bytes down from the second. */
function adopt(memory: LaneMemory, slotNumber: number, clientFd: number, targetFd: number): void {
  const at = slotNumber * slotWords;
  memory.slotTable.fill(-1, at, at + slotWords);
  memory.slotTable[at + slot.clientFd] = clientFd;
  memory.slotTable[at + slot.targetFd] = targetFd;
  memory.slotTable[at + slot.idleMs] = 0;
  memory.slotTable[at + slot.flags] = limitedBit;
  memory.slotTable[at + slot.upBuckets] = 0;
  memory.slotTable[at + slot.downBuckets] = 1;
  pushCommand(memory, command.adopt, slotNumber);
}
