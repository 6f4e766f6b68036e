import { describe, expect, test } from "bun:test";
import type { Ip } from "../../src/address/ip.ts";
import { listenDescriptor } from "../../src/net/epoll/listen-descriptor.ts";
import { resetSocket } from "../../src/net/libc/socket.ts";
import { startSocket } from "../../src/net/libc/start-socket.ts";
import { type Listen, type ListenResult, listenTcp, type TcpListener } from "../../src/net/runtime/listen.ts";
import type { Conn } from "../../src/net/conn/conn.ts";
import { TestConn } from "../support/dial-stand.ts";
import { makeIp } from "../support/make-policy.ts";
import { waitFor } from "../support/proxy.ts";
import { connectRaw } from "../support/raw-peer.ts";
import { requireReactor } from "../support/require-reactor.ts";

const ways: [string, Listen][] = [
  ["listenTcp()", (host, port, accept, turnAway) => listenTcp(host, port, accept, turnAway)],
  ["listenDescriptor()", (host, port, accept) => listenDescriptor(requireReactor(), makeIp(host), port, accept)],
];

function requireListener(result: ListenResult): TcpListener & Disposable {
  if (!result.ok) throw new Error(result.code);
  const { listener } = result;
  return { ...listener, [Symbol.dispose]: () => listener.stop() };
}

describe.each(ways)("%s", (_name, listen) => {
  test.each(["127.0.0.1", "::1"])("accepts clients on %s and says where they come from", async (host) => {
    const accepted: { conn: Conn; from: Ip }[] = [];
    using listener = requireListener(listen(host, 0, (conn, from) => accepted.push({ conn, from })));
    const peer = await connectRaw(listener.port, host);
    await waitFor(() => accepted.length === 1, "the connection");
    const [{ conn, from }] = accepted as [{ conn: Conn; from: Ip }];
    expect([from.text, conn.remoteAddress, conn.remotePort]).toEqual([host, host, peer.socket.localPort]);
    expect([conn.localAddress, conn.localPort]).toEqual([host, listener.port]);
    using near = new TestConn(conn);
    peer.write("hello");
    await waitFor(() => near.text === "hello", "what the client says");
    await near.write("hello yourself");
    await peer.untilText("hello yourself");
    peer.reset();
    await waitFor(() => near.closed === "reset", "the reset");
  });

  test("takes clients of IPv4, too, where the address stands for both families", async () => {
    const accepted: Ip[] = [];
    using listener = requireListener(
      listen("::", 0, (conn, from) => {
        accepted.push(from);
        conn.close();
      }),
    );
    for (const host of ["127.0.0.1", "::1"]) await (await connectRaw(listener.port, host)).untilEnd();
    expect(accepted.map(({ text }) => text)).toEqual(["127.0.0.1", "::1"]);
  });

  test("says why it cannot bind", () => {
    using listener = requireListener(listen("127.0.0.1", 0, (conn) => conn.close()));
    expect(listen("127.0.0.1", listener.port, (conn) => conn.close())).toEqual({ ok: false, code: "EADDRINUSE" });
    expect(listen("203.0.113.1", 0, (conn) => conn.close())).toEqual({ ok: false, code: "EADDRNOTAVAIL" });
  });

  test("frees its port when it stops, and lets connections live on", async () => {
    const accepted: Conn[] = [];
    const listener = requireListener(listen("127.0.0.1", 0, (conn) => void accepted.push(conn)));
    const peer = await connectRaw(listener.port);
    await waitFor(() => accepted.length === 1, "the connection");
    listener.stop();
    requireListener(listen("127.0.0.1", listener.port, (conn) => conn.close())).stop();
    using near = new TestConn(accepted[0] as Conn);
    peer.write("still here");
    await waitFor(() => near.text === "still here", "what the client says");
  });
});

test("connections that come without a pause leave others their turn", async () => {
  const reactor = requireReactor();
  const ip = makeIp("127.0.0.1");
  let accepted = 0;
  let isOver = false;
  // Each connection that is accepted is followed by one that waits already.
  const follow = (port: number): void => {
    const started = startSocket(reactor.libc, reactor.descriptors, { ip, port });
    if (started.ok) resetSocket(reactor.libc, started.fd);
  };
  using listener = requireListener(
    listenDescriptor(reactor, ip, 0, (conn) => {
      accepted += 1;
      conn.reset();
      if (!isOver && accepted < 20_000) follow(listener.port);
    }),
  );
  follow(listener.port);
  await waitFor(() => accepted > 0, "the first connection");
  expect(accepted).toBeLessThan(20_000);
  isOver = true;
});
