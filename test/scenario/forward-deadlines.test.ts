import { describe, expect, test } from "bun:test";
import { connectSaying } from "../support/connect-saying.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { startProxy } from "../support/proxy.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";

/** Writes `text` again and again for as long as there is somebody to write to. */
async function repeat(peer: RawPeer, text: string, everyMs: number): Promise<number> {
  let count = 0;
  for (; peer.end === "open" && !peer.closed; count += 1) {
    peer.write(text);
    await Bun.sleep(everyMs);
  }
  return count;
}

describe("the time for a response", () => {
  const timeouts = { response: "300ms" };
  const CONTINUE = "HTTP/1.1 102 Processing\r\n\r\n";

  test.each([
    ["the first request", 0],
    ["a request like the one before it", 2],
  ])("is not made longer by interim responses to %s", async (_what, before) => {
    using server = listenRaw();
    await using proxy = await startProxy({ timeouts });
    using client = await proxy.connect();
    const uri = `http://127.0.0.1:${server.port}/`;
    let origin: RawPeer | undefined;
    for (let round = 0; round <= before; round += 1) {
      client.write(ask("GET", uri));
      origin ??= await server.next();
      await origin.untilText("\r\n\r\n");
      origin.take();
      if (round === before) break;
      origin.write(ok(""));
      await takeResponse(client);
    }
    const written = await repeat(origin as RawPeer, CONTINUE, 20);
    await client.untilText("HTTP/1.1 504 ");
    // Not because there were too many of them.
    expect(written).toBeLessThan(200);
    expect(await proxy.record(before)).toMatchObject({ detail: "response_timeout" });
  });

  test("is not made longer by interim responses of an upstream", async () => {
    using upstream = listenRaw();
    await using proxy = await startProxy({ timeouts, upstream: `http://127.0.0.1:${upstream.port}`, rules: [] });
    using client = await proxy.connect();
    client.write(ask("GET", "http://far.example/"));
    await repeat(await upstream.next(), CONTINUE, 20);
    await client.untilText("HTTP/1.1 504 ");
  });

  test("is not made longer by a head that comes in small pieces", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ timeouts });
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    origin.write("HTTP/1.1 200 OK\r\nX: ");
    await repeat(origin, "x", 20);
    await client.untilText("HTTP/1.1 504 ");
  });

  test("begins when the request is complete", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ timeouts });
    using client = await proxy.connect();
    client.write(ask("PUT", `http://127.0.0.1:${server.port}/`, "Content-Length: 40\r\n"));
    const origin = await server.next();
    for (let count = 0; count < 40; count += 1) {
      client.write("x");
      await Bun.sleep(15);
    }
    await origin.untilText("x".repeat(40));
    origin.write(ok("done"));
    expect((await takeResponse(client)).body).toBe("done");
  });

  test("is no limit on the response itself", async () => {
    using server = listenRaw();
    await using proxy = await startProxy({ timeouts });
    using client = await proxy.connect();
    client.write(ask("GET", `http://127.0.0.1:${server.port}/`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    origin.write("HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n");
    for (let count = 0; count < 40; count += 1) {
      origin.write("x");
      await Bun.sleep(15);
    }
    expect((await takeResponse(client)).body).toBe("x".repeat(40));
  });
});

describe("the time for a handshake", () => {
  const timeouts = { handshake: "300ms" };

  test.each([
    ["a head", "GET http://127.0.0.1/ HTTP/1.1\r\nX: ", "x"],
    ["a SOCKS greeting", "\x05\xff", "\x02"],
    ["empty lines", "", "\r\n"],
  ])("is not made longer by %s that comes in small pieces", async (_what, start, piece) => {
    await using proxy = await startProxy({ timeouts });
    using client = await connectSaying(proxy.port, start);
    await repeat(client, piece, 20);
    expect(await proxy.record()).toMatchObject({ stage: "handshake" });
  });

  test("is not made longer by a SOCKS login that comes in small pieces", async () => {
    await using proxy = await startProxy({ timeouts, users: [{ name: "ann", password: "secret" }] });
    using client = await proxy.connect();
    client.write("\x05\x01\x02");
    await client.untilText("\x05\x02");
    client.write("\x01\xff");
    await repeat(client, "x", 20);
    expect(await proxy.record()).toMatchObject({ detail: "handshake_timeout", stage: "authenticate" });
  });
});

describe("the time for a dial", () => {
  const timeouts = { connect: "300ms" };

  test.each([
    ["interim responses", "http", "HTTP/1.1 100 Continue\r\n\r\n", 60],
    ["a head in small pieces", "http", "H", 20],
    ["a SOCKS reply in small pieces", "socks5h", "\x05", 200],
  ])("is not made longer by an upstream with %s", async (_what, scheme, piece, everyMs) => {
    using upstream = listenRaw();
    await using proxy = await startProxy({ timeouts, upstream: `${scheme}://127.0.0.1:${upstream.port}`, rules: [] });
    const answer = proxy.exchange("CONNECT far.example:443 HTTP/1.1\r\nHost: far.example:443\r\n\r\n");
    await repeat(await upstream.next(), piece, everyMs);
    expect(await answer).toMatch(/^HTTP\/1\.1 50[24] /);
    expect(await proxy.record()).toMatchObject({ stage: "dial" });
  });
});

test("a client that does not take what it is told is not waited for any longer than other idle ones", async () => {
  using origin = serveHttp(() => ok("x"));
  await using proxy = await startProxy({ default: "deny", timeouts: { idle: "500ms" } });
  using client = await proxy.connect();
  client.pause();
  client.write(ask("GET", "http://192.0.2.1/").repeat(20_000) + ask("GET", origin.uri()));
  for (;;) {
    const open = /^penstock_connections_open (\d+)$/m.exec(await proxy.metrics())?.[1];
    if (open === "0") break;
    await Bun.sleep(20);
  }
  expect(origin.heads).toEqual([]);
});
