import { describe, expect, test } from "bun:test";
import { listenEcho } from "../support/raw-peer.ts";
import { allowLoopback, basic, startProxy, type TestProxy } from "../support/proxy.ts";

const TOKEN = "scenario-token";

/** Asks the sidecar of `proxy`, with its token unless `headers` say otherwise. */
function ask(proxy: TestProxy, path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
    ...init,
  });
}

interface Row {
  id: string;
  user: string;
  target: string;
  bytes_up: number;
  bytes_down: number;
  age_ms: number;
}

async function listTunnels(proxy: TestProxy): Promise<Row[]> {
  const { tunnels } = (await (await ask(proxy, "/tunnels")).json()) as { tunnels: Row[] };
  return tunnels;
}

describe("the sidecar of a running proxy", () => {
  test("shows a tunnel with its bytes, and ends it when asked", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ users: [{ name: "alice", password: "secret" }] });
    const target = `127.0.0.1:${echo.port}`;
    const { peer } = await proxy.tunnel(target, basic("alice", "secret"));
    using _ = peer;
    peer.write("twelve bytes");
    await peer.untilText("twelve bytes");

    const [row] = await listTunnels(proxy);
    expect(row).toMatchObject({ user: "alice", target, rule: "loopback", route: "direct", protocol: "http" });
    expect([row?.bytes_up, row?.bytes_down]).toEqual([12, 12]);
    expect(row?.age_ms).toBeGreaterThanOrEqual(0);

    expect((await ask(proxy, "/tunnels/nope", { method: "DELETE" })).status).toBe(404);
    const killed = await ask(proxy, `/tunnels/${row?.id}`, {
      method: "DELETE",
      headers: { Authorization: `Bearer ${TOKEN}` },
    });
    expect(killed.status).toBe(204);
    await peer.untilEnd();
    expect(await proxy.record()).toMatchObject({ id: row?.id, end: "killed", bytes_up: 12, bytes_down: 12 });
    expect(await listTunnels(proxy)).toEqual([]);
    const metrics = await proxy.metrics();
    expect(metrics).toContain('penstock_tunnels_total{end="killed"} 1\n');
    expect(metrics).toContain('penstock_bytes_total{direction="up"} 12\n');
    expect(metrics).toContain("penstock_tunnels_open 0\n");
  });

  test("counts bytes while they flow, and does not lose one when the tunnel ends", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    peer.write("abc");
    await peer.untilText("abc");
    expect(await proxy.metrics()).toContain('penstock_bytes_total{direction="down"} 3\n');
    expect(await proxy.metrics()).toContain("penstock_tunnels_open 1\n");
    peer[Symbol.dispose]();
    await proxy.record();
    expect(await proxy.metrics()).toContain('penstock_bytes_total{direction="down"} 3\n');
    expect(await proxy.metrics()).toContain("penstock_connections_open 0\n");
  });

  test("shows the configuration without its secrets", async () => {
    await using proxy = await startProxy({
      users: [{ name: "alice", password: "hunter2-plain" }],
      upstreams: { corp: { url: "http://edge:up-secret@192.0.2.1:3128" } },
      rules: [allowLoopback],
    });
    const text = await (await ask(proxy, "/config")).text();
    expect(text).toContain("alice");
    expect(text).toContain("[redacted]");
    for (const secret of ["hunter2-plain", "up-secret", TOKEN]) expect(text).not.toContain(secret);
  });

  test("is ready until the proxy drains, and then says so", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    expect((await ask(proxy, "/readyz")).status).toBe(200);
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const drained = proxy.daemon.drain();
    const response = await ask(proxy, "/readyz");
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ready: false, reason: "draining" });
    expect((await ask(proxy, "/healthz")).status).toBe(200);
    peer[Symbol.dispose]();
    await drained;
  });
});
