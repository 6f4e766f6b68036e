import { expect, spyOn, test } from "bun:test";
import { EPOLLIN } from "../../src/net/libc/constants.ts";
import { createDescriptorConnect } from "../../src/net/epoll/connect-descriptor.ts";
import { listenDescriptor } from "../../src/net/epoll/listen-descriptor.ts";
import type { Reactor } from "../../src/net/epoll/reactor.ts";
import { openSocketPair } from "../../src/net/libc/socket.ts";
import type { Conn } from "../../src/net/conn/conn.ts";
import type { ConnectResult } from "../../src/net/runtime/connect.ts";
import { makeAuthority } from "../support/certificate-authority.ts";
import { makeIp } from "../support/make-policy.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { openReactor, requireReactor } from "../support/require-reactor.ts";

const loopback = makeIp("127.0.0.1");

/** A server that answers with what it hears, and a connection to it; both driven by `loop`. */
async function openEcho(loop: Reactor) {
  const heard: Buffer[] = [];
  const listening = listenDescriptor(loop, loopback, 0, (conn) => {
    conn.attach({ data: (chunk) => void conn.write(chunk), end: () => conn.close(), drain: () => {}, close: () => {} });
  });
  if (!listening.ok) throw new Error(listening.code);
  const { listener } = listening;
  const result = await new Promise<ConnectResult>((resolve) => {
    createDescriptorConnect(loop)({ ip: loopback, port: listener.port }, resolve);
  });
  if (!result.ok) throw new Error(result.code);
  const { conn } = result;
  let closed = false;
  conn.attach({
    data: (chunk) => void heard.push(Buffer.from(chunk)),
    end: () => {},
    drain: () => {},
    close: () => void (closed = true),
  });
  return { conn, listener, text: () => Buffer.concat(heard).toString(), isClosed: () => closed };
}

async function ask(echo: { readonly conn: Conn; text(): string }, word: string): Promise<void> {
  const before = echo.text();
  echo.conn.write(Buffer.from(word));
  await waitFor(() => echo.text() === before + word, word);
}

test("two event loops on one thread carry connections of their own, and one outlives the other", async () => {
  const [first, second] = [openReactor(), openReactor()];
  const [one, two] = [await openEcho(first), await openEcho(second)];
  await Promise.all([ask(one, "first"), ask(two, "second")]);
  expect([one.text(), two.text()]).toEqual(["first", "second"]);
  one.listener.stop();
  one.conn.close();
  await waitFor(one.isClosed, "the end of the first connection");
  first.close();
  await ask(two, " again");
  expect([one.text(), two.text()]).toEqual(["first", "second again"]);
  two.listener.stop();
  two.conn.reset();
  second.close();
});

test("an event loop that is closed watches nothing, and closes no descriptor of others", async () => {
  const loop = openReactor();
  const { libc } = loop;
  const [near, far] = openSocketPair(libc) ?? [-1, -1];
  const told: number[] = [];
  const watcher = { onEvent: (events: number) => void told.push(events), onBug: () => {} };
  expect(loop.add(near, EPOLLIN, watcher)).toBe(true);
  loop.close();
  loop.close();
  loop.callSoon(watcher);
  expect(loop.add(far, EPOLLIN, watcher)).toBe(false);
  libc.write(far, Uint8Array.of(1), 1);
  await Bun.sleep(20);
  expect(told).toEqual([]);
  expect(libc.read(near, new Uint8Array(1), 1)).toBe(1);
  loop.closeDescriptor(near);
  libc.close(far);
});

test("two proxies with event loops of their own share no connection, and one outlives the other", async () => {
  using echo = listenEcho();
  await using lasting = await startProxy({}, { ownEventLoop: true });
  {
    await using passing = await startProxy({ limits: { connections: 1 } }, { ownEventLoop: true });
    for (const proxy of [passing, lasting]) {
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
      expect(head).toStartWith("HTTP/1.1 200 ");
      peer.write("hello");
      await peer.untilText("hello");
      peer.reset();
    }
  }
  const { peer, head } = await lasting.tunnel(`127.0.0.1:${echo.port}`);
  expect(head).toStartWith("HTTP/1.1 200 ");
  peer.write("still here");
  await peer.untilText("still here");
  peer.reset();
  expect(await lasting.record(1)).toMatchObject({ status: 200 });
});

test("the event loop that takes turns accepts for every listener, with TLS and for the sidecar, too", async () => {
  await using authority = await makeAuthority();
  const { cert, key } = await authority.issue();
  const added = spyOn(requireReactor(), "add");
  await using _proxy = await startProxy(
    { listen: [{ port: 0 }, { port: 0, tls: { cert: "cert.pem", key: "key.pem" } }] },
    { files: { "cert.pem": cert, "key.pem": key } },
  );
  expect(added).toHaveBeenCalledTimes(3);
  added.mockRestore();
});
