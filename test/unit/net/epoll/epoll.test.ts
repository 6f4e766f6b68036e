import { describe, expect, test } from "bun:test";
import { EPOLLHUP, EPOLLIN, EPOLLOUT } from "../../../../src/net/libc/constants.ts";
import { createEpoll, describeEpollEvent, Epoll } from "../../../../src/net/epoll/epoll.ts";
import { openSocketPair } from "../../../../src/net/libc/socket.ts";
import { requireLibc } from "../../../support/lane-stand.ts";

describe("describeEpollEvent()", () => {
  test("packs the struct on x64 only", () => {
    expect(describeEpollEvent("x64")).toEqual({ words: 3, dataWord: 1 });
    expect(describeEpollEvent("arm64")).toEqual({ words: 4, dataWord: 2 });
  });
});

describe("Epoll", () => {
  test("tells of every ready descriptor by its token and generation, again and again until it is no longer ready", () => {
    const libc = requireLibc();
    const epoll = new Epoll(libc, createEpoll(libc), 8);
    const pairs = [1, 2, 3].map(() => openSocketPair(libc) ?? [-1, -1]);
    pairs.forEach(([near], index) => expect(epoll.add(near ?? -1, EPOLLIN, 1000 + index, index - 1)).toBe(0));
    expect(epoll.wait(0)).toBe(0);
    for (const index of [0, 2]) libc.write(pairs[index]?.[1] ?? -1, Uint8Array.of(1), 1);
    for (let round = 0; round < 2; round += 1) {
      const count = epoll.wait(0);
      const seen = Array.from({ length: count }, (_, index) => [
        epoll.tokenAt(index),
        epoll.generationAt(index),
        epoll.eventsAt(index),
      ]);
      expect(seen.toSorted((a, b) => (a[0] ?? 0) - (b[0] ?? 0))).toEqual([
        [1000, -1, EPOLLIN],
        [1002, 1, EPOLLIN],
      ]);
    }
    libc.read(pairs[0]?.[0] ?? -1, new Uint8Array(1), 1);
    expect(epoll.wait(0)).toBe(1);
    expect(epoll.tokenAt(0)).toBe(1002);
    for (const fd of [...pairs.flat(), epoll.fd]) libc.close(fd);
  });

  test("changes and ends what it watches for, and reports a hang-up unasked", () => {
    const libc = requireLibc();
    const epoll = new Epoll(libc, createEpoll(libc), 8);
    const [near, far] = openSocketPair(libc) ?? [-1, -1];
    epoll.add(near, EPOLLIN, 5, 1);
    expect(epoll.modify(near, EPOLLOUT, 6, 2)).toBe(0);
    expect([epoll.wait(0), epoll.tokenAt(0), epoll.generationAt(0), epoll.eventsAt(0)]).toEqual([1, 6, 2, EPOLLOUT]);
    epoll.modify(near, 0, 6, 2);
    expect(epoll.wait(0)).toBe(0);
    libc.close(far);
    expect(epoll.wait(0)).toBe(1);
    expect(epoll.eventsAt(0) & EPOLLHUP).toBe(EPOLLHUP);
    expect(epoll.remove(near)).toBe(0);
    expect(epoll.wait(0)).toBe(0);
    expect(epoll.remove(near)).toBeLessThan(0);
    libc.close(near);
    libc.close(epoll.fd);
  });
});
