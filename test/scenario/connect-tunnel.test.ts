import { describe, expect, test } from "bun:test";
import { allowLoopback, basic, startProxy } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";

describe("a CONNECT tunnel", () => {
  test("answers 200 with Proxy-Agent and nothing that a client does not need", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    using _ = peer;
    expect(head).toBe("HTTP/1.1 200 Connection Established\r\nProxy-Agent: penstock\r\n\r\n");
    peer.write("through");
    await peer.untilText("through");
  });

  test("carries what arrives with the request, after the dial and in order", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(`CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\n\r\nearly`);
    const target = await origin.next();
    client.write(" and late");
    await target.untilText("early and late");
    expect(target.text).toBe("early and late");
  });

  test("reads a request that arrives byte by byte", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    for (const byte of `CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\nx`) {
      client.write(byte);
      await Bun.sleep(0);
    }
    await client.untilText("\r\n\r\nx");
    expect(client.text).toStartWith("HTTP/1.1 200 ");
  });

  test("serves HTTP/1.0 clients without Host", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    using client = await proxy.connect();
    client.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.0\r\n\r\n`);
    await client.untilText("\r\n\r\n");
    expect(client.text).toStartWith("HTTP/1.1 200 ");
  });

  test("reaches an IPv6 target", async () => {
    using echo = listenEcho("::1");
    await using proxy = await startProxy();
    const { peer, head } = await proxy.tunnel(`[::1]:${echo.port}`);
    using _ = peer;
    expect(head).toStartWith("HTTP/1.1 200 ");
  });

  test("holds a flood of early data back until the target is there, and loses none of it", async () => {
    using origin = listenRaw();
    await using proxy = await startProxy({ users: slowToAnswer, rules: [allowLoopback] });
    using client = await proxy.connect();
    const flood = Buffer.alloc(8 * 1024 * 1024, "flood");
    const credentials = basic("ann", "secret")["Proxy-Authorization"];
    client.write(
      `CONNECT 127.0.0.1:${origin.port} HTTP/1.1\r\nHost: 127.0.0.1:${origin.port}\r\nProxy-Authorization: ${credentials}\r\n\r\n`,
    );
    client.write(flood);
    client.finish();
    const target = await origin.next();
    await target.untilEnd();
    expect(Bun.hash(target.received)).toBe(Bun.hash(flood));
  });

  test("writes one record with what it did", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users: [{ name: "ann", password: "secret" }] });
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic("ann", "secret"));
    peer.write("12345");
    await peer.untilText("12345");
    peer.finish();
    await peer.untilEnd();
    expect(await proxy.record()).toMatchObject({
      user: "ann",
      method: "CONNECT",
      target: `127.0.0.1:${echo.port}`,
      dialled: `127.0.0.1:${echo.port}`,
      rule: "loopback",
      route: "direct",
      status: 200,
      stage: "tunnel",
      bytes_up: 5,
      bytes_down: 5,
      end: "closed",
    });
    expect(JSON.stringify(proxy.records)).not.toContain("secret");
  });

  test("frees its place when it ends", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ limits: { connections: 1 } });
    for (let round = 0; round < 3; round += 1) {
      const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
      expect(head).toStartWith("HTTP/1.1 200 ");
      const second = await proxy.tunnel(`127.0.0.1:${echo.port}`);
      expect(second.head).toStartWith("HTTP/1.1 429 ");
      peer.finish();
      await peer.untilEnd();
      await proxy.record(round * 2 + 1);
    }
  });
});

async function slowToAnswer(): Promise<boolean> {
  await Bun.sleep(100);
  return true;
}
