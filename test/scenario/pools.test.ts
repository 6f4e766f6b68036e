import { describe, expect, test } from "bun:test";
import { explainTarget } from "../../src/cli/explain-target.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { makeEndpoint } from "../support/make-endpoint.ts";
import { makeIp } from "../support/make-policy.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { type PoolSettings, rules, startPool, stateOf, useTunnel } from "../support/pool-proxy.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const refused = reserveClosedPort();

describe("a member that fails by itself", () => {
  const behaviours = ["refuses", "closes after accept", "resets after accept", "answers garbage", "answers 407"];

  test.each(behaviours)("is passed over before the client notices, and left out: it %s", async (behaviour) => {
    using echo = listenEcho();
    await using good = await startConnectUpstream();
    using bad = behaviour === "refuses" ? undefined : listenAsMember(behaviour);
    const port = bad?.port ?? (await refused);
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${port}`, `http://127.0.0.1:${good.port}`], balance: "first" },
      { rules },
    );
    for (let at = 0; at < 5; at++) {
      expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
      expect(await proxy.record(at)).toMatchObject({
        route: "exits",
        member: `exits/127.0.0.1:${good.port}`,
        attempts: at < 3 ? 2 : 1,
      });
    }
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", failed: 3, ejections: 1, connections: 0 });
    expect(stateOf(proxy, 1)).toMatchObject({ health: "healthy", dialled: 5, connections: 0 });
  });

  test("is raced when it says nothing, and left out for it", async () => {
    using echo = listenEcho();
    await using good = await startConnectUpstream();
    using bad = listenAsMember("says nothing");
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${bad.port}`, `http://127.0.0.1:${good.port}`], balance: "first" },
      { rules, timeouts: { connect: "2s" } },
    );
    for (let at = 0; at < 4; at++) expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", reason: "upstream_timeout", connections: 0 });
    expect(bad.accepted).toHaveLength(3);
  });

  test("is passed over when its TLS handshake fails, and a session stays where it was led to", async () => {
    using echo = listenEcho();
    await using good = await startConnectUpstream();
    using bad = listenAsMember("closes after accept");
    await using proxy = await startPool(
      {
        pool: [`https://127.0.0.1:${bad.port}`, `http://127.0.0.1:${good.port}`],
        balance: "first",
        sticky: { by: "client", for: "1h" },
      },
      { rules },
    );
    for (let at = 0; at < 2; at++) expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(await proxy.record(1)).toMatchObject({ member: `exits/127.0.0.1:${good.port}`, attempts: 1 });
    expect(stateOf(proxy)).toMatchObject({ failed: 1, health: "healthy" });
    expect(proxy.messages.join("\n")).toContain("a session moved from");
  });

  test("has a whole dial for it when it is the only one", async () => {
    using bad = listenAsMember("says nothing");
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${bad.port}`] },
      { rules, timeouts: { connect: "300ms" } },
    );
    const head = await useTunnel(proxy, 9);
    expect(head).toStartWith("HTTP/1.1 504 ");
    expect(await proxy.record()).toMatchObject({ detail: "upstream_timeout", attempts: 1 });
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0 });
  });

  test("comes back with a trial, once its time is over", async () => {
    using echo = listenEcho();
    await using good = await startConnectUpstream();
    const port = await reserveClosedPort();
    const config: PoolSettings = {
      pool: [`http://127.0.0.1:${port}`, `http://127.0.0.1:${good.port}`],
      balance: "first",
      eject: { failures: 1, for: "50ms" },
    };
    await using proxy = await startPool(config, { rules });
    await useTunnel(proxy, echo.port);
    expect(stateOf(proxy)).toMatchObject({ ejections: 1 });
    await waitFor(() => stateOf(proxy)?.health === "trial", "the trial");
    await useTunnel(proxy, echo.port);
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", ejections: 2 });
  });
});

describe("what a member reports of the target", () => {
  test.each(["answers 502", "answers 403"])(
    "is told to the client, and no fault of the member: it %s",
    async (behaviour) => {
      using member = listenAsMember(behaviour);
      await using other = await startConnectUpstream();
      await using proxy = await startPool(
        {
          pool: [`http://127.0.0.1:${member.port}`, `http://127.0.0.1:${other.port}`],
          balance: "first",
          eject: { failures: 1 },
        },
        { rules },
      );
      expect(await useTunnel(proxy, 9)).toStartWith("HTTP/1.1 502 ");
      expect(await proxy.record()).toMatchObject({
        detail: "upstream_refused",
        next_hop: `exits/127.0.0.1:${member.port}`,
        attempts: 1,
      });
      expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0 });
      expect(other.asked).toEqual([]);
    },
  );

  test("ejects it when the status is in the list, and another one is asked", async () => {
    using echo = listenEcho();
    using member = listenAsMember("answers 403");
    await using other = await startConnectUpstream();
    await using proxy = await startPool(
      {
        pool: [`http://127.0.0.1:${member.port}`, `http://127.0.0.1:${other.port}`],
        balance: "first",
        eject: { statuses: [403] },
      },
      { rules },
    );
    expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", reason: "answered 403" });
  });

  test("through a Penstock: a target that is down ejects nobody", async () => {
    await using inner = await startProxy({ rules });
    const port = await reserveClosedPort();
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${inner.port}`], eject: { failures: 1 } },
      { rules },
    );
    for (let at = 0; at < 3; at++) expect(await useTunnel(proxy, port)).toContain("received-status=502");
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0, ejections: 0 });
  });
});

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

describe("chains and pools", () => {
  test("a member that the hop before cannot reach is passed over, and the hop is not blamed", async () => {
    using echo = listenEcho();
    await using corp = await startProxy({ rules });
    await using good = await startConnectUpstream();
    await using proxy = await startProxy({
      upstreams: {
        corp: `http://127.0.0.1:${corp.port}`,
        exits: { pool: [`http://127.0.0.1:${await refused}`, `http://127.0.0.1:${good.port}`], balance: "first" },
      },
      rules,
      default: ["corp", "exits"],
    });
    expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(await proxy.record()).toMatchObject({ route: "corp > exits", attempts: 2 });
    expect(stateOf(proxy)).toMatchObject({ failed: 1 });
  });

  test("the corporate parent with fall-back to direct", async () => {
    using echo = listenEcho();
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${await refused}`, { upstream: "direct", backup: true }] },
      { rules },
    );
    for (let at = 0; at < 5; at++) expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(await proxy.record(4)).toMatchObject({ member: "exits/direct", dialled: `127.0.0.1:${echo.port}` });
  });
});

describe("a function that chooses", () => {
  test("gets members and request, and its choice counts", async () => {
    using echo = listenEcho();
    await using a = await startConnectUpstream();
    await using b = await startConnectUpstream();
    const seen: unknown[] = [];
    const pool = [
      { url: `http://127.0.0.1:${a.port}`, name: "a" },
      { url: `http://127.0.0.1:${b.port}`, name: "b" },
    ];
    await using proxy = await startPool(
      {
        pool,
        balance: (query) => {
          seen.push(query);
          return "b";
        },
      },
      { rules },
    );
    for (let at = 0; at < 3; at++) await useTunnel(proxy, echo.port);
    expect(a.asked).toEqual([]);
    expect(seen[0]).toMatchObject({
      pool: "exits",
      host: "127.0.0.1",
      port: echo.port,
      members: [
        { name: "a", available: true, health: "healthy" },
        { name: "b", available: true, health: "healthy" },
      ],
    });
  });

  test.each([
    [
      "throws",
      "threw Error: no",
      () => {
        throw new Error("no");
      },
    ],
    ["names nobody", "answered with no member", () => "nobody"],
  ])("denies and is reported when it %s", async (_, why, balance) => {
    await using proxy = await startPool({ pool: [`http://127.0.0.1:${await refused}`], balance }, { rules });
    expect(await useTunnel(proxy, 9)).toContain("hook_failed");
    await waitFor(() => proxy.messages.length > 0, "a message");
    expect(proxy.messages.join("\n")).toContain(`The balance function of pool exits ${why}`);
  });
});

describe("what is said of a pool", () => {
  test("explain names its members, and readiness asks for one that is healthy", async () => {
    const port = await refused;
    const config = {
      upstreams: { exits: { pool: [`http://127.0.0.1:${port}`, { upstream: "direct", backup: true }] } },
    };
    const lines = await explainTarget(compileForTest({ ...config, default: "exits" }), createFakeResolver({}), {
      client: makeIp("127.0.0.1"),
      user: undefined,
      target: makeEndpoint("192.0.2.1:443"),
    });
    expect(lines).toContain(`route:   exits (pool, round-robin: 127.0.0.1:${port}, direct as backup)`);
    await using proxy = await startPool({ pool: [`http://127.0.0.1:${port}`], eject: { failures: 1 } }, { rules });
    expect((await proxy.ask("/readyz")).status).toBe(200);
    await useTunnel(proxy, 9);
    expect((await proxy.ask("/readyz")).status).toBe(503);
  });
});
