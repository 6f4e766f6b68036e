import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { holdClosedPort, listenBlackhole, reserveClosedPort } from "../support/unreachable.ts";

async function ask(proxy: TestProxy): Promise<[status: number, body: unknown]> {
  const response = await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/readyz`);
  return [response.status, await response.json()];
}

function leadTo(port: number): PenstockConfig {
  return { upstreams: { corp: `http://127.0.0.1:${port}` }, default: "corp" };
}

const shut = [503, { ready: false, reason: "no_way_out" }] as const;

describe("readiness with a default way through an upstream", () => {
  test("is there when the upstream accepts connections, and knocks only once in a while", async () => {
    using upstream = listenRaw();
    await using proxy = await startProxy(leadTo(upstream.port));
    for (let count = 0; count < 5; count += 1) expect(await ask(proxy)).toEqual([200, { ready: true }]);
    const peer = await upstream.next();
    await peer.untilEnd();
    expect(peer.text).toBe("");
    expect(upstream.accepted).toHaveLength(1);
  });

  test("is not there when nobody listens, and the rest of the proxy goes on", async () => {
    using nobody = await holdClosedPort();
    await using proxy = await startProxy(leadTo(nobody.port));
    expect(await ask(proxy)).toEqual([...shut]);
    const health = await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/healthz`);
    expect(health.status).toBe(200);
  });

  test("is not there when nobody answers in time", async () => {
    await using upstream = await listenBlackhole();
    await using proxy = await startProxy(leadTo(upstream.port));
    expect(await ask(proxy)).toEqual([...shut]);
  });

  test("is not there when the upstream is the proxy itself", async () => {
    const port = await reserveClosedPort();
    await using proxy = await startProxy({ ...leadTo(port), listen: [{ port }] });
    expect(await ask(proxy)).toEqual([...shut]);
  });
});
