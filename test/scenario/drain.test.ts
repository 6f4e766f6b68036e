import { describe, expect, test } from "bun:test";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const withToken = { Authorization: "Bearer scenario-token" };

function ask(proxy: TestProxy, path: string, method = "GET"): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, { method, headers: withToken });
}

async function readyStatus(proxy: TestProxy): Promise<number> {
  return (await ask(proxy, "/readyz")).status;
}

async function isAccepting({ port }: TestProxy): Promise<boolean> {
  try {
    using _ = await connectRaw(port);
    return true;
  } catch {
    return false;
  }
}

describe("a drain with a lame duck", () => {
  test("is not ready first and still serves, then stops accepting, then ends the tunnels that are left", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ timeouts: { lameDuck: "300ms", drain: "100ms" } });
    const ended = proxy.daemon.drain("SIGTERM");
    expect(await readyStatus(proxy)).toBe(503);
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    peer.write("served");
    await peer.untilText("served");
    expect(await ended).toBe("ended");
    expect(await isAccepting(proxy)).toBe(false);
    expect(await proxy.record()).toMatchObject({ end: "drained" });
    expect(proxy.messages).toEqual([
      "SIGTERM: not ready any more, still accepting connections for 300 ms; then tunnels have 100 ms to end. A second signal ends them at once.",
      "Accepting no more connections; tunnels have 100 ms to end.",
      "The time for tunnels is over: ending 1 tunnel.",
    ]);
  });

  test("is taken back as if nothing had been", async () => {
    await using proxy = await startProxy({ timeouts: { lameDuck: "1d" } });
    const outcome = proxy.daemon.drain("SIGTERM");
    expect(await readyStatus(proxy)).toBe(503);
    expect((await ask(proxy, "/drain", "DELETE")).status).toBe(204);
    expect(await outcome).toBe("resumed");
    expect(await readyStatus(proxy)).toBe(200);
    expect(await isAccepting(proxy)).toBe(true);
  });
});

describe("POST /drain", () => {
  test("stops accepting, tells what is left, and ends the proxy with its last tunnel", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    const answer = await ask(proxy, "/drain?for=10m", "POST");
    expect(answer.status).toBe(202);
    const state = (await answer.json()) as Record<string, unknown>;
    expect(state).toMatchObject({ phase: "draining", connections: 1, tunnels: 1 });
    expect(Number(state["left_ms"])).toBeGreaterThan(590_000);
    expect(proxy.messages[0]).toStartWith("POST /drain: accepting no more connections; tunnels have 10 min to end.");
    expect(await isAccepting(proxy)).toBe(false);
    peer[Symbol.dispose]();
    await proxy.daemon.ended;
  });

  test("changes the time of a drain under way only when it names one", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    await proxy.tunnel(`127.0.0.1:${echo.port}`);
    await ask(proxy, "/drain?for=1h", "POST");
    const leftMs = async (query: string): Promise<number> => {
      const state = (await (await ask(proxy, `/drain${query}`, "POST")).json()) as { left_ms: number };
      return state.left_ms;
    };
    expect(await leftMs("")).toBeGreaterThan(3_500_000);
    expect(await leftMs("?for=2m")).toBeLessThanOrEqual(120_000);
    // The signal of a service manager gives tunnels the time of the configuration.
    void proxy.daemon.drain("SIGTERM");
    expect(await leftMs("")).toBeLessThanOrEqual(10_000);
  });

  test.each(["for=soon", "for=", "for=1m&for=2m", "until=10m"])("refuses ?%s and drains nothing", async (query) => {
    await using proxy = await startProxy();
    expect((await ask(proxy, `/drain?${query}`, "POST")).status).toBe(400);
    expect(await readyStatus(proxy)).toBe(200);
  });

  test("needs the token, and so does its end", async () => {
    await using proxy = await startProxy();
    for (const [method, path] of [
      ["POST", "/drain"],
      ["DELETE", "/drain"],
      ["POST", "/drain/successor"],
    ] as const)
      expect((await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, { method })).status).toBe(401);
    expect(await readyStatus(proxy)).toBe(200);
  });
});

describe("DELETE /drain", () => {
  test("binds the listeners again on their ports, keeps the tunnels, and forgets the end", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    const first = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    await ask(proxy, "/drain", "POST");
    expect(await isAccepting(proxy)).toBe(false);
    expect((await ask(proxy, "/drain", "DELETE")).status).toBe(204);
    expect(await readyStatus(proxy)).toBe(200);
    const second = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    first.peer[Symbol.dispose]();
    second.peer[Symbol.dispose]();
    await proxy.record(1);
    // The drain that was taken back does not end the proxy when the last connection is gone.
    expect(await readyStatus(proxy)).toBe(200);
    expect(await isAccepting(proxy)).toBe(true);
  });

  test("leaves the drain as it is when a port was taken meanwhile, and says which", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ listen: [{ port: 0 }, { port: 0 }] });
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    await ask(proxy, "/drain", "POST");
    const [one, two] = proxy.daemon.listeners.map(({ port }) => port);
    {
      using _ = Bun.listen({ hostname: "127.0.0.1", port: two ?? 0, socket: { data: () => {} } });
      const answer = await ask(proxy, "/drain", "DELETE");
      expect(answer.status).toBe(409);
      expect(await answer.text()).toContain(
        `Cannot listen on 127.0.0.1:${two}: the port is in use. Stop what uses it, or set \\"listen\\" (--listen) to another. The drain goes on.`,
      );
      expect(await isAccepting(proxy)).toBe(false);
      expect(await readyStatus(proxy)).toBe(503);
    }
    expect((await ask(proxy, "/drain", "DELETE")).status).toBe(204);
    for (const port of [one, two]) (await connectRaw(port ?? 0))[Symbol.dispose]();
    peer[Symbol.dispose]();
  });

  test("is 409 while nothing drains", async () => {
    await using proxy = await startProxy();
    const answer = await ask(proxy, "/drain", "DELETE");
    expect(answer.status).toBe(409);
    expect(await answer.text()).toContain("The proxy does not drain.");
  });
});

describe("the sidecar of a proxy that drains", () => {
  test("gives its port to a successor that starts meanwhile, and only then", async () => {
    using echo = listenEcho();
    await using old = await startProxy();
    const { peer } = await old.tunnel(`127.0.0.1:${echo.port}`);
    const sidecar = { port: old.daemon.sidecar?.port ?? 0, token: "scenario-token" };
    await expect(startProxy({ sidecar })).rejects.toThrow("the port is in use");
    await ask(old, "/drain?for=1h", "POST");
    await using successor = await startProxy({ listen: [{ port: old.port }], sidecar });
    expect(successor.daemon.sidecar?.port).toBe(sidecar.port);
    expect(await readyStatus(successor)).toBe(200);
    peer.write("still here");
    await peer.untilText("still here");
    peer[Symbol.dispose]();
    await old.daemon.ended;
  });

  test("keeps its port from a successor with another token", async () => {
    using echo = listenEcho();
    await using old = await startProxy();
    await old.tunnel(`127.0.0.1:${echo.port}`);
    await ask(old, "/drain?for=1h", "POST");
    const sidecar = { port: old.daemon.sidecar?.port ?? 0, token: "another-token" };
    await expect(startProxy({ sidecar })).rejects.toThrow("the port is in use");
    expect(await readyStatus(old)).toBe(503);
  });

  test("gives its Unix socket to a successor, which keeps it when the old one ends", async () => {
    using echo = listenEcho();
    await using folder = await makeFolder({});
    const unix = `${folder.path}/sidecar.sock`;
    const health = () => fetch("http://localhost/readyz", { unix });
    await using old = await startProxy({ sidecar: { unix } });
    const { peer } = await old.tunnel(`127.0.0.1:${echo.port}`);
    void old.daemon.drain();
    await using _ = await startProxy({ listen: [{ port: old.port }], sidecar: { unix } });
    expect((await health()).status).toBe(200);
    peer[Symbol.dispose]();
    await old.daemon.ended;
    expect((await health()).status).toBe(200);
  });
});
