import { describe, expect, test } from "bun:test";
import { explainTarget } from "../../src/explain/explain-target.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { makeEndpoint } from "../support/make-endpoint.ts";
import { makeIp } from "../support/make-policy.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { ok, serveHttp } from "../support/http-origin.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { type PoolSettings, rules, startPool, stateOf, useTunnel } from "../support/pool-proxy.ts";
import { basic, startProxy, waitFor } from "../support/proxy.ts";
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
      await waitFor(() => stateOf(proxy)?.failed === Math.min(at + 1, 3), "the blame");
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
    for (let at = 0; at < 3; at++) expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
    expect(stateOf(proxy)).toMatchObject({ reason: "upstream_timeout", failed: 3, connections: 0 });
    const { length } = bad.accepted;
    expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
    expect(bad.accepted).toHaveLength(length);
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

  test("has a whole dial for it when it is the only one, and is left out for silence", async () => {
    using bad = listenAsMember("says nothing");
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${bad.port}`], eject: { failures: 1 } },
      { rules, timeouts: { connect: "300ms" } },
    );
    const head = await useTunnel(proxy, 9);
    expect(head).toStartWith("HTTP/1.1 504 ");
    expect(await proxy.record()).toMatchObject({ detail: "upstream_timeout", attempts: 1 });
    await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
    expect(await useTunnel(proxy, 9)).toContain("no_healthy_upstream");
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

  test("ejects nobody when all that a member does for a target that is down is to close", async () => {
    await using one = await startConnectUpstream();
    await using other = await startConnectUpstream();
    await using proxy = await startPool(
      { pool: [`http://127.0.0.1:${one.port}`, `http://127.0.0.1:${other.port}`], eject: { failures: 1 } },
      { rules },
    );
    const port = await reserveClosedPort();
    for (let at = 0; at < 2; at++) {
      expect(await useTunnel(proxy, port)).toStartWith("HTTP/1.1 502 ");
      await waitFor(() => [0, 1].every((each) => stateOf(proxy, each)?.connections === 0), "the end of the pings");
    }
    expect([one.asked.length, other.asked.length]).toEqual([2, 2]);
    expect([0, 1].map((at) => stateOf(proxy, at)?.failed)).toEqual([0, 0]);
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
    const metrics = await proxy.metrics();
    expect(metrics).toContain('penstock_upstream_dials_total{upstream="corp",result="ok"} 1\n');
    expect(metrics).toContain('penstock_upstream_dials_total{upstream="corp",result="failed"} 0\n');
  });

  test("a slow parent that works is not passed over for a direct connection, and one that is silent is", async () => {
    using echo = listenEcho();
    using slow = serveHttp(({ head }) => {
      if (head.startsWith("CONNECT ")) return undefined;
      for (const peer of slow.server.accepted.slice(0, 1)) peer.write("HTTP/1.1 200 OK\r\n\r\nping");
      return ok("");
    });
    using silent = listenAsMember("says nothing");
    const members = [];
    for (const { port } of [slow, silent]) {
      await using proxy = await startPool(
        { pool: [`http://127.0.0.1:${port}`, { upstream: "direct", backup: true }] },
        { rules },
      );
      expect(await useTunnel(proxy, echo.port)).toStartWith("HTTP/1.1 200 ");
      members.push((await proxy.record())["member"]);
    }
    expect(members).toEqual([`exits/127.0.0.1:${slow.port}`, "exits/direct"]);
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

  test("gets the user and the parameters in the user name", async () => {
    using echo = listenEcho();
    await using a = await startConnectUpstream();
    await using b = await startConnectUpstream();
    await using proxy = await startPool(
      {
        pool: [
          { url: `http://127.0.0.1:${a.port}`, name: "alice-at" },
          { url: `http://127.0.0.1:${b.port}`, name: "alice-de" },
        ],
        balance: ({ user, parameters }) => `${user}-${parameters["country"]}`,
      },
      { rules, users: [{ name: "alice", password: "pw" }], auth: { parameters: ["country"] } },
    );
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`, basic("alice-country-de", "pw"));
    peer.reset();
    expect(head).toStartWith("HTTP/1.1 200 ");
    expect([a.asked.length, b.asked.length]).toEqual([0, 1]);
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
