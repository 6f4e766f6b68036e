import { describe, expect, test } from "bun:test";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { ask, ok, serveHttp, takeResponse } from "../support/http-origin.ts";
import { rules, startPool, stateOf, useTunnel } from "../support/pool-proxy.ts";
import { waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const refused = reserveClosedPort();

describe("a pool without a member to use", () => {
  test("is told at once with a word of its own", async () => {
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${await refused}`], eject: { failures: 1 } },
      { rules },
    );
    expect(await useTunnel(proxy, 9)).toContain("connection_refused");
    const head = await useTunnel(proxy, 9);
    expect(head).toStartWith("HTTP/1.1 503 ");
    expect(head).toContain("no_healthy_upstream");
    expect(head).toContain("No member of the upstream exits is healthy.");
    const forwarded = await proxy.exchange(
      "GET http://127.0.0.1:9/ HTTP/1.1\r\nHost: 127.0.0.1:9\r\nConnection: close\r\n\r\n",
    );
    expect(forwarded).toContain("no_healthy_upstream");
  });

  test("says when another try makes sense, as far as that is known", async () => {
    const pool = [`http://127.0.0.1:${await refused}`];
    await using ejecting = await startPool({ pool, eject: { failures: 1, for: "70s" } }, { rules });
    await useTunnel(ejecting, 9);
    expect(await useTunnel(ejecting, 9)).toMatch(/\r\nRetry-After: (?:70|69)\r\n/);
    await using disabled = await startPool({ pool }, { rules });
    disabled.daemon.pools.get("exits")?.disable(`127.0.0.1:${await refused}`, true);
    const head = await useTunnel(disabled, 9);
    expect(head).toContain("no_healthy_upstream");
    expect(head).not.toContain("Retry-After");
  });

  test.each(["CONNECT", "GET"])("is waited for by a %s whose dials all failed", async (method) => {
    using echo = listenEcho();
    using origin = serveHttp(() => ok("page"));
    const port = await reserveClosedPort();
    await using proxy = await startPool(
      {
        pool: [{ url: `http://127.0.0.1:${port}`, tunnelHttp: true }],
        eject: { failures: 2, for: "300ms" },
        wait: "20s",
      },
      { rules },
    );
    using client = await proxy.connect();
    client.write(
      method === "GET" ? ask("GET", origin.uri()) : `CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    await waitFor(() => (stateOf(proxy)?.ejections ?? 0) > 0, "two failures");
    await using _ = await startConnectUpstream(undefined, { host: "127.0.0.1", port });
    expect((await takeResponse(client, false)).head).toStartWith("HTTP/1.1 200 ");
  });

  test("is waited for no longer than the pool says", async () => {
    await using proxy = await startPool({ pool: [`http://127.0.0.1:${await refused}`], wait: "800ms" }, { rules });
    expect(await useTunnel(proxy, 9)).toContain("connection_refused");
    expect(stateOf(proxy)).toMatchObject({ failed: 2 });
  });

  test("is waited for, and the connection that ends makes room", async () => {
    using echo = listenEcho();
    await using member = await startConnectUpstream();
    await using proxy = await startPool(
      { pool: [{ url: `http://127.0.0.1:${member.port}`, maxConnections: 1 }], wait: "20s" },
      { rules },
    );
    const first = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const second = proxy.tunnel(`127.0.0.1:${echo.port}`);
    await waitFor(() => proxy.daemon.pools.describe()[0]?.waiting === 1, "a request that waits");
    first.peer.reset();
    const { peer, head } = await second;
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer.reset();
  });

  test("is told as full after the time to wait, and a client that leaves waits no more", async () => {
    using echo = listenEcho();
    await using member = await startConnectUpstream();
    await using proxy = await startPool(
      { pool: [{ url: `http://127.0.0.1:${member.port}`, maxConnections: 1 }], wait: "200ms" },
      { rules },
    );
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const { head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 503 ");
    expect(head).toContain("upstreams_full");
    using gone = await proxy.connect();
    gone.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\n`);
    await waitFor(() => proxy.daemon.pools.describe()[0]?.waiting === 1, "a request that waits");
    gone.reset();
    await waitFor(() => proxy.daemon.pools.describe()[0]?.waiting === 0, "an empty queue");
    peer.reset();
    await waitFor(() => stateOf(proxy)?.connections === 0, "no connection");
  });
});
