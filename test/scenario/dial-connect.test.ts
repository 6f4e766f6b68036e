import { readdirSync } from "node:fs";
import { describe, expect, test } from "bun:test";
import {
  type Connect,
  type ConnectResult,
  connectTcp,
  type ConnectTarget,
  connectWithBun,
} from "../../src/net/runtime/connect.ts";
import { createDescriptorConnect } from "../../src/net/epoll/connect-descriptor.ts";
import { type LoopbackPair, openLoopbackPair } from "../../src/net/conn/loopback-pair.ts";
import { LoopTimers } from "../../src/net/conn/loop-timers.ts";
import { makeIp } from "../support/make-policy.ts";
import { TestConn } from "../support/dial-stand.ts";
import { requireReactor } from "../support/require-reactor.ts";
import { waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { listenBlackhole, reserveClosedPort } from "../support/unreachable.ts";

const LOOPBACK = makeIp("127.0.0.1");

function connectOnce(connect: Connect, target: ConnectTarget): Promise<ConnectResult> {
  return new Promise((resolve) => connect(target, resolve));
}

async function connectWell(connect: Connect, target: ConnectTarget): Promise<TestConn> {
  const result = await connectOnce(connect, target);
  if (!result.ok) throw new Error(result.code);
  return new TestConn(result.conn);
}

describe.each([
  ["connectTcp()", connectTcp],
  ["the connect of the reactor", createDescriptorConnect(requireReactor())],
] satisfies [string, Connect][])("%s", (_name, connect) => {
  test("connects over IPv4 and IPv6, with the addresses of both ends", async () => {
    for (const host of ["127.0.0.1", "::1"]) {
      using echo = listenEcho(host);
      using peer = await connectWell(connect, { ip: makeIp(host), port: echo.port });
      expect([peer.conn.remoteAddress, peer.conn.remotePort]).toEqual([host, echo.port]);
      expect(peer.conn.localAddress).toBe(host);
      expect(peer.conn.localPort).toBe((await echo.next()).socket.remotePort);
      await peer.write("ping");
      await waitFor(() => peer.text === "ping", "the echo");
    }
  });

  test("does not call back before it returns", async () => {
    const port = await reserveClosedPort();
    let returned = false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    connect({ ip: LOOPBACK, port }, () => resolve(returned));
    returned = true;
    expect(await promise).toBe(true);
  });

  test("loses nothing that the server says first, in one breath with its end", async () => {
    using server = listenRaw((peer) => {
      peer.write("220 hello\r\n");
      peer.finish();
    });
    using peer = await connectWell(connect, { ip: LOOPBACK, port: server.port });
    await waitFor(() => peer.ended, "the end");
    expect(peer.text).toBe("220 hello\r\n");
    expect(peer.closed).toBeUndefined();
  });

  test("tells that nobody listens", async () => {
    const port = await reserveClosedPort();
    for (const host of ["127.0.0.1", "::1"]) {
      expect(await connectOnce(connect, { ip: makeIp(host), port })).toEqual({ ok: false, code: "ECONNREFUSED" });
    }
  });

  test("frees the socket of an attempt that is given up", async () => {
    await using hole = await listenBlackhole();
    const before = countDescriptors();
    const attempts = Array.from({ length: 20 }, () =>
      connect({ ip: LOOPBACK, port: hole.port }, () => {
        throw new Error("called back");
      }),
    );
    await waitFor(() => countDescriptors() >= before + 20, "20 sockets");
    for (const attempt of attempts) attempt.cancel();
    await waitFor(() => countDescriptors() <= before, "no socket left");
  });

  test("frees the socket of an attempt that is given up at once, even when it succeeds", async () => {
    using server = listenRaw();
    const before = countDescriptors();
    connect({ ip: LOOPBACK, port: server.port }, () => {
      throw new Error("called back");
    }).cancel();
    const accepted = await server.next();
    await accepted.untilEnd();
    accepted.socket.terminate();
    await waitFor(() => countDescriptors() <= before, "no socket left");
  });

  test("connects from the source address", async () => {
    using echo = listenEcho();
    using peer = await connectWell(connect, { ip: LOOPBACK, port: echo.port, source: makeIp("127.0.0.9") });
    expect(peer.conn.localAddress).toBe("127.0.0.9");
    expect((await echo.next()).socket.remoteAddress).toBe("127.0.0.9");
  });

  test("makes many connections from one source address to one target", async () => {
    using echo = listenEcho();
    const source = makeIp("127.0.0.9");
    const peers = await Promise.all(
      Array.from({ length: 100 }, () => connectWell(connect, { ip: LOOPBACK, port: echo.port, source })),
    );
    expect(new Set(peers.map((peer) => peer.conn.localPort)).size).toBe(100);
    for (const peer of peers) peer[Symbol.dispose]();
  });

  test("refuses a source address of the other family, or of another machine", async () => {
    const target = { ip: LOOPBACK, port: 9 };
    expect(await connectOnce(connect, { ...target, source: makeIp("::1") })).toEqual({
      ok: false,
      code: "EAFNOSUPPORT",
    });
    expect(await connectOnce(connect, { ...target, source: makeIp("203.0.113.1") })).toEqual({
      ok: false,
      code: "EADDRNOTAVAIL",
    });
  });

  test("makes a connection whose reset is told", async () => {
    using server = listenRaw();
    using peer = await connectWell(connect, { ip: LOOPBACK, port: server.port });
    (await server.next()).reset();
    await waitFor(() => peer.closed, "the close");
    expect(peer.closed).toBe("reset");
  });
});

describe("connectWithBun()", () => {
  test("connects, and tells that nobody listens", async () => {
    using echo = listenEcho();
    const result = await connectOnce(connectWithBun, { ip: LOOPBACK, port: echo.port });
    if (!result.ok) throw new Error(result.code);
    using peer = new TestConn(result.conn);
    await peer.write("ping");
    await waitFor(() => peer.text === "ping", "the echo");
    const port = await reserveClosedPort();
    expect(await connectOnce(connectWithBun, { ip: LOOPBACK, port })).toEqual({ ok: false, code: "ECONNREFUSED" });
  });

  test("resets the connection that an attempt given up becomes", async () => {
    using server = listenRaw();
    connectWithBun({ ip: LOOPBACK, port: server.port }, () => {
      throw new Error("called back");
    }).cancel();
    await (await server.next()).untilEnd();
  });

  test("has no source addresses", async () => {
    const target = { ip: LOOPBACK, port: 9, source: LOOPBACK };
    expect(await connectOnce(connectWithBun, target)).toEqual({ ok: false, code: "EOPNOTSUPP" });
  });
});

describe("openLoopbackPair()", () => {
  test("gives two connections that are each other's peers", async () => {
    const pair = await new Promise<LoopbackPair | undefined>((resolve) => openLoopbackPair(new LoopTimers(), resolve));
    if (pair === undefined) throw new Error("no pair");
    using one = new TestConn(pair[0]);
    using other = new TestConn(pair[1]);
    expect([one.conn.localPort, one.conn.remotePort]).toEqual([other.conn.remotePort, other.conn.localPort]);
    await one.write("there");
    one.conn.shutdown();
    await waitFor(() => other.ended, "the end");
    await other.write("and back");
    await waitFor(() => one.text === "and back", "the answer");
    expect(other.text).toBe("there");
  });

  test("leaves nothing behind when it is given up", async () => {
    const before = countDescriptors();
    openLoopbackPair(new LoopTimers(), () => {
      throw new Error("called back");
    }).cancel();
    await waitFor(() => countDescriptors() <= before, "no socket left");
  });
});

function countDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}
