import { describe, expect, test } from "bun:test";
import { ok, serveHttp } from "../support/http-origin.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { type PoolSettings, rules, startPool, stateOf } from "../support/pool-proxy.ts";
import { startProxy, waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

const often = { every: "20ms", timeout: "500ms", rise: 2, fall: 2 };

/** A pool of one member that is checked so. */
function startChecked(url: string, health: PoolSettings["health"]) {
  return startPool({ pool: [url], health: { ...often, ...health } }, { rules });
}

describe("active checks of members", () => {
  test.each(["tcp", "connect", "get"])(
    "find a member that nobody asked down when nobody listens there: %s",
    async (kind) => {
      const probe =
        kind === "tcp" ? "tcp" : kind === "connect" ? { connect: "127.0.0.1:9" } : { get: "http://a.example/" };
      await using proxy = await startChecked(`http://127.0.0.1:${await reserveClosedPort()}`, { probe });
      await waitFor(() => stateOf(proxy)?.health === "down", "a member that is down");
      expect(stateOf(proxy)).toMatchObject({ reason: "check: connection_refused", failed: 0, connections: 0 });
      expect(proxy.messages.join("\n")).toContain("is down (check: connection_refused).");
      expect((await proxy.tunnel("127.0.0.1:9")).head).toContain("no_healthy_upstream");
    },
  );

  test("a tunnel finds what a connection does not: a member that accepts and answers garbage", async () => {
    using member = listenAsMember("answers garbage");
    await using proxy = await startChecked(`http://127.0.0.1:${member.port}`, { probe: { connect: "127.0.0.1:9" } });
    await waitFor(() => stateOf(proxy)?.health === "down", "a member that is down");
    expect(stateOf(proxy)?.reason).toBe("check: upstream_protocol");
  });

  test("a member that says nothing is down after the time for a check", async () => {
    using member = listenAsMember("says nothing");
    await using proxy = await startChecked(`http://127.0.0.1:${member.port}`, {
      probe: { connect: "127.0.0.1:9" },
      timeout: "50ms",
    });
    await waitFor(() => stateOf(proxy)?.health === "down", "a member that is down");
    expect(stateOf(proxy)?.reason).toBe("check: upstream_timeout");
  });

  test("tunnels of checks lead through the member with its credentials, and are closed", async () => {
    using echo = listenEcho();
    await using member = await startProxy({ users: [{ name: "edge", password: "secret" }], rules });
    await using proxy = await startChecked(`http://edge:secret@127.0.0.1:${member.port}`, {
      probe: { connect: `127.0.0.1:${echo.port}` },
    });
    const record = await member.record(2);
    expect(record).toMatchObject({ user: "edge", target: `127.0.0.1:${echo.port}`, status: 200 });
    expect(stateOf(proxy)).toMatchObject({ health: "healthy" });
  });

  test("requests of checks are forwarded by the member, and the status counts", async () => {
    let status = 200;
    using member = serveHttp(() => (status === 200 ? ok("fine") : "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"));
    await using proxy = await startChecked(`http://edge:parent@127.0.0.1:${member.port}`, {
      probe: { get: "http://check.example/health?x" },
    });
    await waitFor(() => member.heads.length > 2, "checks");
    expect(member.heads[0]).toStartWith("GET http://check.example/health?x HTTP/1.1\r\nHost: check.example\r\n");
    expect(member.heads[0]).toContain("Proxy-Authorization: Basic ZWRnZTpwYXJlbnQ=\r\n");
    status = 503;
    await waitFor(() => stateOf(proxy)?.health === "down", "a member that is down");
    expect(stateOf(proxy)?.reason).toBe("check: answered 503");
    status = 200;
    await waitFor(() => stateOf(proxy)?.health === "healthy", "a member that is healthy");
  });

  test("of a pool that nobody uses are left out with whenIdle: false, and begin with the first request", async () => {
    using echo = listenEcho();
    await using idle = await startConnectUpstream();
    await using busy = await startConnectUpstream();
    const probe = { connect: `127.0.0.1:${echo.port}` };
    await using proxy = await startProxy({
      upstreams: {
        exits: { pool: [`http://127.0.0.1:${idle.port}`], health: { ...often, probe, whenIdle: false } },
        others: { pool: [`http://127.0.0.1:${busy.port}`], health: { ...often, probe } },
      },
      rules,
      default: "exits",
    });
    await waitFor(() => busy.asked.length > 5, "checks of the other pool");
    expect(idle.asked).toEqual([]);
    (await proxy.tunnel(`127.0.0.1:${echo.port}`)).peer.reset();
    await waitFor(() => idle.asked.length > 2, "checks");
  });

  test("go on through a reload with what they know, and end with the pool", async () => {
    const url = `http://127.0.0.1:${await reserveClosedPort()}`;
    using good = listenRaw();
    const config = (pool: PoolSettings) => ({ upstreams: { exits: pool }, rules, default: "exits" });
    await using proxy = await startPool({ pool: [url], health: { ...often } }, { rules });
    await waitFor(() => stateOf(proxy)?.health === "down", "a member that is down");
    await proxy.reload(config({ pool: [`http://127.0.0.1:${good.port}`, url], health: { ...often, every: "1h" } }));
    expect(stateOf(proxy, 1)).toMatchObject({ health: "down" });
    await proxy.reload(config({ pool: [url] }));
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", reason: "checks are off" });
  });
});
