import { expect, test } from "bun:test";
import { TokenBuckets } from "../../../../src/net/conn/token-buckets.ts";
import { describeEpollEvent } from "../../../../src/net/epoll/epoll.ts";
import { EPOLLIN, F_GETPIPE_SZ } from "../../../../src/net/libc/constants.ts";
import type { Libc } from "../../../../src/net/libc/libc.ts";
import { LaneClock, LaneLoop } from "../../../../src/net/splice/lane-loop.ts";
import {
  command,
  createLaneMemory,
  limitedBit,
  pushCommand,
  slot,
  slotWords,
} from "../../../../src/net/splice/lane-memory.ts";
import { requireLibc } from "../../../support/lane-stand.ts";

const BULK = 8;
const SMALL = BULK;
const [FIRST_FD, PIPE_READ, PIPE_WRITE] = [1000, 60, 61];
const { words, dataWord } = describeEpollEvent(process.arch);

test("a lane serves small messages also between the turns of many tunnels that have theirs at the same time", () => {
  const memory = createLaneMemory(BULK + 1, 4);
  for (let number = 0; number <= BULK; number += 1) {
    const at = number * slotWords;
    memory.slotTable[at + slot.clientFd] = FIRST_FD + 2 * number;
    memory.slotTable[at + slot.targetFd] = FIRST_FD + 2 * number + 1;
    if (number !== SMALL) {
      memory.slotTable.fill(-1, at + slot.upBuckets, at + slot.upWaitsFor);
      memory.slotTable[at + slot.flags] = limitedBit;
      memory.slotTable[at + slot.downBuckets] = number;
    }
    pushCommand(memory, command.adopt, number);
  }
  const clock = new LaneClock(() => {});
  const buckets = TokenBuckets.create(BULK, () => clock.now);
  for (let number = 0; number < BULK; number += 1)
    buckets.set(number, { bytesPerSecond: 80_000_000, burstBytes: 40_000_000 }, "empty");

  // Sockets of bulk tunnels have bytes without end. A small message comes with the first of the turns.
  const moved: string[] = [];
  let waits = 0;
  let isSent = false;
  const tell = (events: Int32Array, numbers: readonly number[]): number => {
    for (const [index, number] of numbers.entries()) {
      events[index * words] = EPOLLIN;
      events[index * words + dataWord] = number * 2 + 1;
      events[index * words + dataWord + 1] = number + 1;
    }
    return numbers.length;
  };
  const libc: Libc = {
    ...requireLibc(),
    epollCtl: () => 0,
    epollWait: (_fd, events) => {
      waits += 1;
      if (waits === 2) return tell(events, [...Array(BULK).keys()]);
      if (moved.length > 0 && !isSent) {
        isSent = true;
        return tell(events, [SMALL]);
      }
      if (isSent) pushCommand(memory, command.stop, 0);
      return 0;
    },
    pipe: (fds) => {
      fds.set([PIPE_READ, PIPE_WRITE]);
      return 0;
    },
    fcntl: (_fd, operation) => (operation === F_GETPIPE_SZ ? 1_048_576 : 0),
    splice: (from, _to, bytes) => {
      if (from !== PIPE_READ && moved.at(-1) !== `bulk ${from}`) moved.push(`bulk ${from}`);
      return bytes;
    },
    receive: (fd, _into, bytes) => {
      if (fd !== FIRST_FD + 2 * SMALL + 1) return bytes;
      moved.push("small");
      return 64;
    },
    send: (_fd, _from, bytes) => bytes,
    read: () => 8,
    write: (_fd, _from, bytes) => bytes,
    shutdown: () => 0,
    close: () => 0,
    setSocketOption: () => 0,
    getSocketOption: () => -1,
  };
  const setup = { memory, epollFd: 50, wakeFd: 51, ownerFd: 52, pipeBytes: 1_048_576, buckets, clock };
  new LaneLoop(libc, setup).run();
  expect(moved.filter((each) => each !== "small").length).toBeGreaterThanOrEqual(BULK);
  expect(moved.indexOf("small")).toBe(1);
});
