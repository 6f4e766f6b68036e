import { describe, expect, test } from "bun:test";
import { connectSaying } from "../support/connect-saying.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import type { RawPeer } from "../support/raw-peer.ts";

const LOCAL = Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex");

/** Waits until so many connections were counted as probes. */
async function untilProbes(proxy: TestProxy, count: number): Promise<void> {
  let metrics = await proxy.metrics();
  const counted = (): number =>
    [...metrics.matchAll(/^penstock_probes_total\{[^}]*\} (\d+)$/gm)].reduce(
      (sum, [, value]) => sum + Number(value),
      0,
    );
  while (counted() < count) {
    await Bun.sleep(2);
    metrics = await proxy.metrics();
  }
  expect(counted()).toBe(count);
  expect(metrics).not.toMatch(/^penstock_failures_total\{[^}]*\} [1-9]/m);
  expect(metrics).not.toMatch(/^penstock_stage_seconds_count\{[^}]*stage="handshake"[^}]*\} [1-9]/m);
}

/** Sends a request of this connection's own, whose record comes after all that were written before. */
async function expectNoRecords(proxy: TestProxy, peer?: RawPeer): Promise<void> {
  using origin = serveHttp(() => ok("x"));
  using client = peer ?? (await proxy.connect());
  client.write(ask("GET", origin.uri()));
  await takeResponse(client);
  expect(await proxy.record()).toMatchObject({ status: 200, method: "GET" });
}

describe("a connection on which nothing is said is a probe and no failure", () => {
  test.each(["finish", "reset"] as const)("when the client leaves at once: %s", async (leave) => {
    await using proxy = await startProxy();
    for (let count = 0; count < 3; count++) {
      using peer = await proxy.connect();
      peer[leave]();
      await peer.until(({ closed }) => closed, "the end of the connection");
      expect(peer.receivedBytes).toBe(0);
    }
    await untilProbes(proxy, 3);
    await expectNoRecords(proxy);
  });

  test("when its time is over, and it hears nothing", async () => {
    await using proxy = await startProxy({ timeouts: { handshake: "100ms" } });
    using peer = await proxy.connect();
    await peer.untilEnd();
    expect(peer.receivedBytes).toBe(0);
    await untilProbes(proxy, 1);
    await expectNoRecords(proxy);
  });

  test.each(["\r", "\r\n"])("when all it says is %j", async (said) => {
    await using proxy = await startProxy({ timeouts: { handshake: "100ms" } });
    using slow = await proxy.connect();
    slow.write(said);
    using hasty = await proxy.connect();
    hasty.write(said);
    hasty.finish();
    await Promise.all([slow.untilEnd(), hasty.untilEnd()]);
    expect([slow.receivedBytes, hasty.receivedBytes]).toEqual([0, 0]);
    await untilProbes(proxy, 2);
    await expectNoRecords(proxy);
  });

  test("behind a load balancer: without a header, with LOCAL, and with the address of a client", async () => {
    await using proxy = await startProxy({
      listen: [{ port: 0, proxyProtocol: ["127.0.0.0/8"] }],
      open: true,
      timeouts: { handshake: "150ms" },
    });
    for (const header of ["", LOCAL, "PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"]) {
      using hasty = await proxy.connect();
      hasty.write(header);
      hasty.finish();
      using slow = await proxy.connect();
      slow.write(header);
      await Promise.all([hasty.untilEnd(), slow.untilEnd()]);
      expect([hasty.receivedBytes, slow.receivedBytes]).toEqual([0, 0]);
    }
    await untilProbes(proxy, 6);
    const peer = await proxy.connect();
    peer.write(LOCAL);
    await expectNoRecords(proxy, peer);
  });

  test("but half a request is a failure, as ever", async () => {
    await using proxy = await startProxy({ timeouts: { handshake: "100ms" } });
    expect(await proxy.exchange("\r\nG")).toStartWith("HTTP/1.1 408 ");
    expect(await proxy.record()).toMatchObject({ detail: "handshake_timeout", status: 408 });
    expect(await proxy.metrics()).not.toMatch(/^penstock_probes_total\{[^}]*\} [1-9]/m);
  });
});

describe.each(["auto", "runtime"] as const)("an empty line after a body, with sockets %s", (sockets) => {
  test.each([
    ["in the same packet", (client: RawPeer, request: string) => client.write(`${request}body\r\n`)],
    ["after the answer", undefined],
  ])("does not begin a request: %s", async (_name, send) => {
    using origin = serveHttp(({ head }) => ok(head.includes("GET ") ? "GET" : "POST"));
    await using proxy = await startProxy({ sockets, timeouts: { handshake: "100ms" } });
    using client = await proxy.connect();
    const post = ask("POST", origin.uri(), "Content-Length: 4\r\n");
    if (send === undefined) client.write(`${post}body`);
    else send(client, post);
    expect((await takeResponse(client)).body).toBe("POST");
    if (send === undefined)
      for (const part of ["\r", "\n", "\r\n\r", "\n"]) {
        client.write(part);
        await Bun.sleep(2);
      }
    // Three times what a handshake may take: the connection is as idle as without the line.
    await Bun.sleep(300);
    expect([client.end, client.text]).toEqual(["open", ""]);
    client.write(ask("GET", origin.uri()));
    expect((await takeResponse(client)).body).toBe("GET");
    expect(proxy.records.every(({ error }) => error === undefined)).toBe(true);
  });

  test("may stand before the next request, with or without its end in the same packet", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ sockets });
    using client = await proxy.connect();
    for (const parts of [[""], ["\r\n"], ["\r", "\n"], ["\r\n\r\n"], ["\r\n", "\r"]]) {
      for (const part of parts.slice(0, -1)) {
        client.write(part);
        await Bun.sleep(2);
      }
      client.write(`${parts.at(-1)}${parts.at(-1) === "\r" ? "\n" : ""}${ask("GET", origin.uri())}`);
      expect((await takeResponse(client)).body).toBe("x");
    }
  });

  test("does not hide that a lone CR begins no request", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ sockets });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    client.write("\r");
    await Bun.sleep(2);
    client.write(ask("GET", origin.uri()));
    await client.untilText("HTTP/1.1 400 ");
  });

  test("does not keep an idle connection longer", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ sockets, forward: { clientIdle: "300ms" } });
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await takeResponse(client);
    const lines = setInterval(() => client.write("\r\n"), 50);
    await client.untilEnd();
    clearInterval(lines);
    expect(client.text).toBe("");
  });
});

test("a client whose time is over does not get more of it by sending on", async () => {
  await using proxy = await startProxy({ timeouts: { handshake: "100ms" } });
  using peer = await connectSaying(proxy.port, "GET / HTTP/1.1\r\nX: ");
  const drip = setInterval(() => peer.write("x"), 20);
  await peer.until(({ closed }) => closed, "the end of the connection");
  clearInterval(drip);
  expect(peer.text).toStartWith("HTTP/1.1 408 ");
});
