import { expect, test } from "bun:test";
import { EPOLLIN } from "../../src/net/libc/constants.ts";
import { readBytes, type Reactor } from "../../src/net/epoll/reactor.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";

/** A pair of sockets that closes itself; `fds[0]` is for the reactor, which may have closed it before. */
function openPair(reactor: Reactor): { fds: readonly [number, number] } & Disposable {
  const fds = openSocketPair(reactor.libc);
  if (fds === undefined) throw new Error("no pair");
  return {
    fds,
    [Symbol.dispose]() {
      reactor.remove(fds[0]);
      for (const fd of fds) reactor.libc.close(fd);
    },
  };
}

test("the reactor tells of bytes, and lets timers, promises and sockets of the runtime go on", async () => {
  const reactor = requireReactor();
  using pair = openPair(reactor);
  const heard: string[] = [];
  reactor.add(pair.fds[0], EPOLLIN, {
    onEvent() {
      const received = reactor.receive(pair.fds[0], readBytes);
      if (typeof received !== "number") heard.push(Buffer.from(received).toString());
    },
    onBug: () => {},
  });
  using echo = listenEcho();
  const peer = await connectRaw(echo.port);
  for (const word of ["one", "two"]) {
    reactor.libc.write(pair.fds[1], Buffer.from(word), word.length);
    peer.write(word);
    await peer.untilText(word);
    await Bun.sleep(1);
    await waitFor(() => heard.includes(word), word);
  }
  peer.reset();
  expect(heard).toEqual(["one", "two"]);
});

test("a bug in what hears of one descriptor is no matter of the others", async () => {
  const reactor = requireReactor();
  using broken = openPair(reactor);
  using sound = openPair(reactor);
  const bugs: unknown[] = [];
  let heard = 0;
  reactor.add(broken.fds[0], EPOLLIN, {
    onEvent() {
      throw new Error("a bug");
    },
    onBug(error) {
      bugs.push(error);
      reactor.remove(broken.fds[0]);
      throw new Error("another bug");
    },
  });
  reactor.add(sound.fds[0], EPOLLIN, {
    onEvent() {
      heard += 1;
      reactor.receive(sound.fds[0], readBytes);
    },
    onBug: () => {},
  });
  for (const { fds } of [broken, sound]) reactor.libc.write(fds[1], Uint8Array.of(1), 1);
  await waitFor(() => heard === 1 && bugs.length === 1, "both events");
  expect(bugs).toEqual([new Error("a bug")]);
  reactor.libc.write(sound.fds[1], Uint8Array.of(1), 1);
  await waitFor(() => heard === 2, "the loop that goes on");
});

/** How the descriptor of an event to come is closed meanwhile: by the reactor, or by the thread of a lane that owns it by now. */
const closings: readonly (readonly [string, (reactor: Reactor, fd: number) => void])[] = [
  ["the reactor closes", (reactor, fd) => reactor.closeDescriptor(fd)],
  [
    "a lane closes",
    (reactor, fd) => {
      reactor.remove(fd);
      reactor.libc.close(fd);
    },
  ],
];

test.each(closings)("an event of a descriptor that %s is not told to who has its number now", async (_, close) => {
  const reactor = requireReactor();
  using pairs = new DisposableStack();
  const two = [pairs.use(openPair(reactor)), pairs.use(openPair(reactor))];
  const wrong: number[] = [];
  const fresh: number[] = [];
  let told = 0;
  const [first, second] = two.map(({ fds }) => fds[0]) as [number, number];
  for (const [fd, other] of [
    [first, second],
    [second, first],
  ] as const)
    reactor.add(fd, EPOLLIN, {
      onEvent() {
        told += 1;
        close(reactor, fd);
        close(reactor, other);
        // A new descriptor gets the lowest free number.
        fresh.push(...(openSocketPair(reactor.libc) ?? []));
        for (const number of fresh)
          reactor.add(number, EPOLLIN, {
            onEvent: () => wrong.push(number),
            onBug: () => reactor.closeDescriptor(number),
          });
      },
      onBug: () => {},
    });
  for (const { fds } of two) reactor.libc.write(fds[1], Uint8Array.of(1), 1);
  await waitFor(() => told > 0, "the first event");
  // What is told of the new ones comes after all that was in the list.
  expect(fresh.toSorted()).toEqual([first, second].toSorted());
  const [near, far] = fresh as [number, number];
  let heard = 0;
  reactor.replace(near, { onEvent: () => (heard += 1), onBug: () => {} });
  reactor.libc.write(far, Uint8Array.of(1), 1);
  await waitFor(() => heard > 0, "an event of the new connection");
  expect([told, wrong]).toEqual([1, []]);
});

test.each(["auto", "runtime"] as const)("the proxy serves with sockets: %s", async (sockets) => {
  using echo = listenEcho();
  await using proxy = await startProxy({ sockets });
  expect(proxy.daemon.driving).toBe(
    sockets === "auto" ? "Sockets are driven by epoll." : 'Sockets are the runtime\'s: "sockets" says so.',
  );
  const peer = await proxy.connect();
  peer.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\nearly`);
  await peer.untilText("\r\n\r\nearly");
  peer.finish();
  expect(await proxy.record()).toMatchObject({ end: "closed", bytes_up: 5, bytes_down: 5 });
});
