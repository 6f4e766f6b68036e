import { describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { encodeFatalAlert } from "../../src/protocol/tls/read/alert.ts";
import { createFakeResolver } from "../support/fake-resolver.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw, type RawServer } from "../support/raw-peer.ts";
import { listenReplay, replayClient } from "../support/replay-peers.ts";
import { recordHello } from "../support/tap-stand.ts";
import { loadTlsFixture } from "../support/tls-fixture.ts";

type Demand = Record<string, unknown>;

const resolver = createFakeResolver({ "good.example": ["127.0.0.1"], "server.example": ["127.0.0.1"] });

function startWith(demand: Demand, config: PenstockConfig = {}): Promise<TestProxy> {
  return startProxy({ rules: [{ ...allowLoopback, name: "guarded", ...demand }], ...config }, { resolver });
}

/** Says something in a tunnel of its own that a rule refuses; gives what the client heard, and the target. */
async function sayInVain(
  proxy: TestProxy,
  origin: RawServer,
  said: string | Uint8Array,
  host = "good.example",
): Promise<{ heard: Buffer; reached: Buffer; record: Record<string, unknown> }> {
  const { peer } = await proxy.tunnel(`${host}:${origin.port}`);
  const target = await origin.next();
  const index = proxy.records.length;
  peer.write(said);
  await peer.untilEnd();
  expect(peer.end).toBe("fin");
  await target.untilEnd();
  return { heard: peer.received, reached: target.received, record: await proxy.record(index) };
}

describe("a rule about what is inside", () => {
  test("refuses another server name than that of the target with an alert, before the target hears of it", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ sni: "match" });
    const { heard, reached, record } = await sayInVain(proxy, origin, recordHello("evil.example"));
    expect(heard.toString("hex")).toBe(encodeFatalAlert("unrecognized_name").toHex());
    expect(reached).toHaveLength(0);
    expect(record).toMatchObject({
      status: 200,
      rule: "guarded",
      error: "http_request_denied",
      detail: "sni_mismatch",
      note: "found SNI evil.example",
      end: "denied",
      inside: "tls",
      tls: { sni: "evil.example" },
      bytes_up: 0,
    });
    const metrics = await proxy.metrics();
    expect(metrics).toContain('penstock_failures_total{word="http_request_denied",detail="sni_mismatch"} 1\n');
    expect(metrics).toContain('penstock_tunnels_total{end="denied"} 1\n');
  });

  test("leaves no client that it has refused in the way of another one", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ sni: "match" }, { limits: { connections: 1 } });
    // Its client was told why, and does not close its side.
    await sayInVain(proxy, origin, recordHello("evil.example"));
    const { peer } = await proxy.tunnel(`good.example:${origin.port}`);
    peer.write(recordHello("good.example"));
    await (await origin.next()).untilReceived(recordHello("good.example").length);
  });

  test("lets the right one through, byte for byte, however it is cut", async () => {
    for (const demand of [{ sni: "match" }, { sni: ["*.example"], tls: { min: "1.2" } }, { protocols: ["tls"] }]) {
      using origin = listenReplay("openssl-tls13-hello-retry");
      await using proxy = await startWith(demand);
      const { peer } = await proxy.tunnel(`server.example:${origin.port}`);
      using _ = peer;
      await replayClient(peer, "openssl-tls13-hello-retry");
      const { client, server } = loadTlsFixture("openssl-tls13-hello-retry");
      expect(peer.received.equals(server)).toBe(true);
      await origin.accepted[0]?.untilReceived(client.length);
      expect(origin.accepted[0]?.received.equals(client)).toBe(true);
    }
    using origin = listenRaw();
    await using proxy = await startWith({ sni: ["good.example"] });
    const { peer } = await proxy.tunnel(`good.example:${origin.port}`);
    using _ = peer;
    const target = await origin.next();
    const hello = recordHello("good.example");
    for (const byte of hello) {
      peer.write(Uint8Array.of(byte));
      await Bun.sleep(0);
    }
    await target.untilReceived(hello.length);
    expect(target.received.equals(hello)).toBe(true);
  });

  test("judges early data as well", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ protocols: ["tls"] });
    using client = await proxy.connect();
    client.write(
      `CONNECT good.example:${origin.port} HTTP/1.1\r\nHost: good.example:${origin.port}\r\n\r\nSSH-2.0-early\r\n`,
    );
    const target = await origin.next();
    await client.untilEnd();
    expect(client.text).toEndWith("\r\n\r\n");
    await target.untilEnd();
    expect(target.received).toHaveLength(0);
    expect(await proxy.record()).toMatchObject({ detail: "protocol_denied", note: "found ssh", end: "denied" });
  });

  test("refuses what is no TLS with a plain close", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ tls: { min: "1.2" } });
    const { heard, reached, record } = await sayInVain(proxy, origin, "GET / HTTP/1.1\r\n\r\n");
    expect([heard.length, reached.length]).toEqual([0, 0]);
    expect(record).toMatchObject({ detail: "protocol_denied", note: "found http", inside: "http" });
  });

  test("refuses an old version that the client offers, and one that the server chooses", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ tls: { min: "1.3" } });
    const offered = await sayInVain(proxy, origin, recordHello("good.example"));
    expect(offered.heard.toString("hex")).toBe(encodeFatalAlert("protocol_version").toHex());
    expect(offered.record).toMatchObject({ detail: "tls_too_old", note: "found TLS 1.2" });

    using old = listenReplay("openssl-tls11");
    await using other = await startWith({ tls: { min: "1.2" } });
    const { peer } = await other.tunnel(`good.example:${old.port}`);
    peer.write(loadTlsFixture("openssl-tls11").segments[0]?.bytes ?? "");
    await peer.untilEnd();
    expect(peer.received.toString("hex")).toBe(encodeFatalAlert("protocol_version").toHex());
    expect(await other.record()).toMatchObject({ detail: "tls_too_old", note: "found TLS 1.1", end: "denied" });
  });

  test("refuses a fingerprint that it does not list", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ ja4: ["t13d3112h2_e8f1e7e78f70_b26ce05bbdd6"] });
    const { record, heard } = await sayInVain(proxy, origin, recordHello("good.example"));
    expect(heard.toString("hex")).toBe(encodeFatalAlert("access_denied").toHex());
    expect(record).toMatchObject({ detail: "fingerprint_denied" });
  });

  test("refuses Encrypted Client Hello with its word, before the target hears of it", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ ech: "deny" });
    const hello = loadTlsFixture("chromium").segments[0]?.bytes ?? "";
    const { record, heard, reached } = await sayInVain(proxy, origin, hello, "server.example");
    expect(heard.toString("hex")).toBe(encodeFatalAlert("access_denied").toHex());
    expect(reached).toHaveLength(0);
    expect(record).toMatchObject({
      error: "http_request_denied",
      detail: "ech_denied",
      note: "found Encrypted Client Hello",
      end: "denied",
      bytes_up: 0,
    });
    expect(await proxy.metrics()).toContain(
      'penstock_failures_total{word="http_request_denied",detail="ech_denied"} 1\n',
    );
  });

  test("lets the target speak first, and gives the client its time to answer", async () => {
    using origin = listenRaw((peer) => peer.write("220 ready\r\n"));
    await using proxy = await startWith({ protocols: ["smtp"] }, { timeouts: { handshake: "300ms" } });
    const { peer } = await proxy.tunnel(`good.example:${origin.port}`);
    using _ = peer;
    await peer.untilText("220 ready\r\n");
    peer.write("EHLO client\r\n");
    const target = await origin.next();
    await target.untilText("EHLO client\r\n");

    const { peer: silent } = await proxy.tunnel(`good.example:${origin.port}`);
    await silent.untilEnd();
    expect(silent.text).toBe("220 ready\r\n");
    expect(await proxy.record()).toMatchObject({
      detail: "first_bytes_timeout",
      note: "0 bytes came in 300 ms",
      end: "denied",
    });
  });

  test("judges a client that sends FIN before it has said enough", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ sni: "match" });
    const { peer } = await proxy.tunnel(`good.example:${origin.port}`);
    peer.write(recordHello("good.example").subarray(0, 40));
    peer.finish();
    const target = await origin.next();
    await target.untilEnd();
    expect(target.received).toHaveLength(0);
    expect(await proxy.record()).toMatchObject({ detail: "sni_mismatch", end: "denied" });
  });

  test("takes a forwarded request for HTTP", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ protocols: ["tls"] });
    const answer = await proxy.exchange(
      `GET http://good.example:${origin.port}/ HTTP/1.1\r\nHost: good.example\r\nConnection: close\r\n\r\n`,
    );
    expect(answer).toStartWith("HTTP/1.1 403 ");
    expect(answer).toContain('details="protocol_denied: found http"');
    expect(origin.accepted).toHaveLength(0);
    expect(await proxy.record()).toMatchObject({ status: 403, detail: "protocol_denied" });
  });

  test("holds for SOCKS clients as well", async () => {
    using origin = listenRaw();
    await using proxy = await startWith({ sni: "match" });
    using client = await proxy.connect();
    const host = Buffer.from("good.example");
    client.write(Uint8Array.of(5, 1, 0));
    await client.untilReceived(2);
    client.write(
      Buffer.concat([Uint8Array.of(5, 1, 0, 3, host.length), host, Uint8Array.of(origin.port >> 8, origin.port & 255)]),
    );
    await client.untilReceived(12);
    client.take();
    client.write(recordHello("evil.example"));
    await client.untilEnd();
    expect(client.received.toString("hex")).toBe(encodeFatalAlert("unrecognized_name").toHex());
    expect(await proxy.record()).toMatchObject({ protocol: "socks5", detail: "sni_mismatch", end: "denied" });
  });
});
