import { expect, spyOn, test } from "bun:test";
import { Doorbell } from "../../src/net/epoll/doorbell.ts";
import { createEpoll, Epoll } from "../../src/net/epoll/epoll.ts";
import { readBytes } from "../../src/net/epoll/reactor.ts";
import { EPOLLIN } from "../../src/net/libc/constants.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import { requireLibc } from "../support/lane-stand.ts";
import { waitFor } from "../support/proxy.ts";
import { openReactor } from "../support/require-reactor.ts";

const libc = requireLibc();
const one = Uint8Array.of(1);

test("a doorbell rings once for each time that it is hung up, and not after it was taken down", async () => {
  const fd = createEpoll(libc);
  const epoll = new Epoll(libc, fd, 4);
  const pair = openSocketPair(libc);
  if (pair === undefined) throw new Error("no pair");
  epoll.add(pair[0], EPOLLIN, 7, 0);
  let rings = 0;
  const doorbell = new Doorbell(libc, () => (rings += 1));
  for (const times of [1, 2, 3]) {
    expect([doorbell.hang(fd), doorbell.isHung]).toEqual([true, true]);
    libc.write(pair[1], one, 1);
    await waitFor(() => rings === times, "the doorbell");
    expect([doorbell.isHung, epoll.wait(0), epoll.tokenAt(0)]).toEqual([false, 1, 7]);
    libc.read(pair[0], new Uint8Array(8), 8);
  }
  doorbell.hang(fd);
  doorbell.takeDown();
  libc.write(pair[1], one, 1);
  let isOver = false;
  const second = new Doorbell(libc, () => (isOver = true));
  second.hang(fd);
  await waitFor(() => isOver, "the second doorbell");
  expect([rings, doorbell.isHung]).toEqual([3, false]);
  for (const each of [...pair, fd]) libc.close(each);
});

test("a loop in which nothing happens sleeps, hears of the next event, and ends when nothing is left to watch", async () => {
  const hang = spyOn(Doorbell.prototype, "hang");
  const reactor = openReactor();
  const pair = openSocketPair(libc);
  if (pair === undefined) throw new Error("no pair");
  let heard = 0;
  reactor.add(pair[0], EPOLLIN, {
    onEvent() {
      heard += 1;
      reactor.receive(pair[0], readBytes);
    },
    onBug: () => {},
  });
  const isAsleep = (): boolean => (hang.mock.contexts as Doorbell[]).some((doorbell) => doorbell.isHung);
  for (const times of [1, 2]) {
    await waitFor(isAsleep, "sleep");
    libc.write(pair[1], one, 1);
    await waitFor(() => heard === times, "the event");
  }
  await waitFor(isAsleep, "sleep");
  // What is called soon wakes it, too.
  let called = 0;
  reactor.callSoon({ onEvent: () => (called += 1), onBug: () => {} });
  await waitFor(() => called === 1, "the call");
  await waitFor(isAsleep, "sleep");
  // A doorbell would keep the process alive.
  reactor.remove(pair[0]);
  expect(isAsleep()).toBe(false);
  reactor.close();
  hang.mockRestore();
  for (const fd of pair) libc.close(fd);
});
