import { describe, expect, test } from "bun:test";
import { connectRaw, listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { startProxy, waitFor } from "../support/proxy.ts";

const connectTo = (port: number): string => `CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`;

describe("a drain", () => {
  test("closes a connection on which nothing came, long before the time for tunnels is over", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ timeouts: { drain: "1h", handshake: "1h" } });
    using silent = await connectRaw(proxy.port);
    const { peer: tunnel } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    await waitFor(async () => (await proxy.metrics()).includes("penstock_connections_open 2\n"), "both connections");
    const ended = proxy.daemon.drain();
    await silent.untilEnd();
    expect(silent.end).toBe("fin");
    tunnel.finish();
    expect(await ended).toBe("ended");
  });

  test("serves the requests of clients that had connected before, accepted or not", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ timeouts: { drain: "1h" } });
    const clients: RawPeer[] = [];
    // The event loop has no turn between the last of them and the drain.
    for (let count = 0; count < 20; count += 1) clients.push(await connectRaw(proxy.port));
    const ended = proxy.daemon.drain();
    for (const client of clients) client.write(connectTo(echo.port));
    for (const client of clients) {
      await client.untilText("\r\n\r\n");
      expect(client.text).toStartWith("HTTP/1.1 200 ");
      client.finish();
    }
    expect(await ended).toBe("ended");
  });

  test("that is taken back serves newcomers as before", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ timeouts: { drain: "1h" } });
    const { peer: tunnel } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    using silent = await connectRaw(proxy.port);
    const ended = proxy.daemon.drain();
    await silent.untilEnd();
    expect((await proxy.ask("/drain", "DELETE")).status).toBe(204);
    expect(await ended).toBe("resumed");
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer[Symbol.dispose]();
    tunnel[Symbol.dispose]();
  });
});
