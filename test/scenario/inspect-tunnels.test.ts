import { describe, expect, test } from "bun:test";
import { loadTlsFixture } from "../support/tls-fixture.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenEcho, listenRaw } from "../support/raw-peer.ts";
import { listenReplay, replayClient } from "../support/replay-peers.ts";

/** Replays a recorded TLS connection through the proxy, and gives the record of its tunnel. */
async function recordReplay(proxy: TestProxy, fixture: string): Promise<Record<string, unknown>> {
  using origin = listenReplay(fixture);
  const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
  await replayClient(peer, fixture);
  const { client, server } = loadTlsFixture(fixture);
  expect(peer.received.equals(server)).toBe(true);
  const target = origin.accepted[0];
  await target?.untilReceived(client.length);
  expect(target?.received.equals(client)).toBe(true);
  const index = proxy.records.length;
  peer.finish();
  target?.finish();
  return await proxy.record(index);
}

async function readTunnels(proxy: TestProxy): Promise<Record<string, unknown>[]> {
  const response = await fetch(`http://127.0.0.1:${proxy.daemon.sidecar?.port}/tunnels`, {
    headers: { Authorization: "Bearer scenario-token" },
  });
  return ((await response.json()) as { tunnels: Record<string, unknown>[] }).tunnels;
}

describe("a tunnel with TLS inside", () => {
  test("has in its record what the handshake showed", async () => {
    await using proxy = await startProxy();
    expect(await recordReplay(proxy, "openssl-tls12-ecdhe-rsa")).toMatchObject({
      end: "closed",
      inside: "tls",
      tls: {
        sni: "server.example",
        alpn: "h2,http/1.1",
        alpn_chosen: "h2",
        version: "TLS 1.2",
        cipher: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        resumed: false,
        ja4: "t13d3112h2_e8f1e7e78f70_f6eeaf393d2e",
        certificate_expires: expect.stringMatching(/^2126-10-29T/),
        handshake_ms: expect.any(Number),
      },
    });
    const record = await recordReplay(proxy, "curl");
    expect(record).toMatchObject({ inside: "tls", tls: { version: "TLS 1.3", sni: "server.example", resumed: false } });
    expect(record["tls"]).not.toHaveProperty("ja3");
  });

  test("is counted by version, and by whether the session was resumed", async () => {
    await using proxy = await startProxy();
    for (const fixture of ["openssl-tls13", "openssl-tls13-early-data", "openssl-tls12-ticket", "openssl-tls11"])
      await recordReplay(proxy, fixture);
    const metrics = await proxy.metrics();
    expect(metrics).toContain('penstock_inside_total{protocol="tls"} 4\n');
    expect(metrics).toContain('penstock_tls_sessions_total{version="1.3",handshake="full"} 1\n');
    expect(metrics).toContain('penstock_tls_sessions_total{version="1.3",handshake="resumed"} 1\n');
    expect(metrics).toContain('penstock_tls_sessions_total{version="1.2",handshake="resumed"} 1\n');
    expect(metrics).toContain('penstock_tls_sessions_total{version="1.1",handshake="full"} 1\n');
    expect(metrics).toContain("penstock_tls_handshake_seconds_count 4\n");
  });

  test("shows it in the table of tunnels while it lives", async () => {
    using origin = listenReplay("openssl-tls13");
    await using proxy = await startProxy();
    const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
    using _ = peer;
    expect((await readTunnels(proxy))[0]).not.toHaveProperty("inside");
    await replayClient(peer, "openssl-tls13");
    expect((await readTunnels(proxy))[0]).toMatchObject({
      inside: "tls",
      tls: { sni: "server.example", version: "TLS 1.3", cipher: "TLS_AES_256_GCM_SHA384" },
    });
  });

  test("has a JA3 fingerprint where that is asked for", async () => {
    await using proxy = await startProxy({ inspect: { ja3: true } });
    expect(await recordReplay(proxy, "curl")).toMatchObject({ tls: { ja3: expect.stringMatching(/^[0-9a-f]{32}$/) } });
  });

  test("is not looked into where that is turned off", async () => {
    await using proxy = await startProxy({ inspect: { tls: false } });
    const record = await recordReplay(proxy, "curl");
    expect(record).not.toHaveProperty("inside");
    expect(record).not.toHaveProperty("tls");
    expect(await proxy.metrics()).toContain('penstock_inside_total{protocol="tls"} 0\n');
  });
});

test("a tunnel tells what else is spoken inside, and of silence nothing", async () => {
  using echo = listenEcho();
  await using proxy = await startProxy();
  for (const [index, [said, protocol]] of (
    [
      ["GET / HTTP/1.1\r\n\r\n", "http"],
      ["SSH-2.0-test\r\n", "ssh"],
      ["\x00\x01", "unknown"],
      ["", undefined],
    ] as const
  ).entries()) {
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    peer.write(said);
    await peer.untilReceived(said.length);
    peer.finish();
    expect((await proxy.record(index))["inside"]).toBe(protocol);
  }
  const metrics = await proxy.metrics();
  for (const protocol of ["http", "ssh", "unknown", "undecided"])
    expect(metrics).toContain(`penstock_inside_total{protocol="${protocol}"} 1\n`);
});

test("a tunnel that was looked into is spliced like any other, and loses nothing", async () => {
  using origin = listenRaw();
  await using proxy = await startProxy({ spliceAfter: "64KiB", rules: [{ ...allowLoopback, protocols: ["http"] }] });
  const { peer } = await proxy.tunnel(`127.0.0.1:${origin.port}`);
  const flood = Buffer.alloc(4 * 1024 * 1024, "flood");
  peer.write("POST /");
  const target = await origin.next();
  peer.write(" HTTP/1.1\r\n\r\n");
  target.write(flood);
  await peer.untilReceived(flood.length);
  peer.write(flood);
  await target.untilReceived(flood.length + 19);
  expect(target.text.slice(0, 19)).toBe("POST / HTTP/1.1\r\n\r\n");
  peer.finish();
  target.finish();
  expect(await proxy.record()).toMatchObject({
    end: "closed",
    inside: "http",
    bytes_up: flood.length + 19,
    bytes_down: flood.length,
  });
});
