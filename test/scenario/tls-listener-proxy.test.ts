import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { connectSaying } from "../support/connect-saying.ts";
import type { Certificate } from "../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { connectRaw, listenEcho, listenRaw, type RawPeer, type RawServer } from "../support/raw-peer.ts";
import { connectTls } from "../support/tls-stand.ts";

let authority: CertificateAuthority;
let server: Certificate;
let alice: Certificate;
let echo: RawServer;

beforeAll(async () => {
  authority = await makeAuthority();
  server = await authority.issue();
  alice = await authority.issue({ names: ["email:alice@corp.test"] });
  echo = listenEcho();
});

afterAll(async () => {
  echo[Symbol.dispose]();
  await authority[Symbol.asyncDispose]();
});

type Listener = Exclude<NonNullable<PenstockConfig["listen"]>[number], string | number>;

/** A proxy with one listener that speaks TLS. */
function startTlsProxy(listener: Listener = {}, config: PenstockConfig = {}): Promise<TestProxy> {
  const tls = { cert: "cert.pem", key: "key.pem", ...listener.tls };
  return startProxy(
    { ...config, listen: [{ port: 0, ...listener, tls }] },
    { files: { "cert.pem": server.cert, "key.pem": server.key, "ca.pem": authority.cert } },
  );
}

const clientCa = { cert: "cert.pem", key: "key.pem", clientCa: "ca.pem" };

/** Asks for a tunnel to the echo server and gives the head of the answer. */
async function askTunnel(peer: RawPeer): Promise<string> {
  peer.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\n`);
  await peer.untilText("\r\n\r\n");
  return peer.take().toString("latin1");
}

/** A load balancer that passes bytes on to `port`, with `header` in front of the first ones. */
function startBalancer(port: number, header: string): RawServer {
  return listenRaw((near) => {
    const early: Uint8Array[] = [Buffer.from(header, "latin1")];
    near.consume = (chunk) => early.push(chunk);
    void near
      .until(() => early.length > 1)
      .then(async () => {
        const far = await connectRaw(port);
        far.consume = (chunk) => near.write(chunk);
        far.onEnd = () => near.finish();
        far.write(Buffer.concat(early));
        near.consume = (chunk) => far.write(chunk);
        near.onEnd = () => far.finish();
      });
  });
}

describe("a proxy with a TLS listener", () => {
  test("carries a tunnel for a client that speaks TLS", async () => {
    await using proxy = await startTlsProxy();
    using peer = await connectTls(proxy.port, authority.cert);
    const { localPort } = peer.socket;
    expect(await askTunnel(peer)).toStartWith("HTTP/1.1 200 ");
    peer.write("through TLS");
    await peer.untilText("through TLS");
    peer.finish();
    await peer.untilEnd();
    const record = await proxy.record();
    expect(record).toMatchObject({ client: `127.0.0.1:${localPort}`, protocol: "http", status: 200 });
  });

  test("speaks SOCKS5 within TLS", async () => {
    await using proxy = await startTlsProxy();
    using peer = await connectTls(proxy.port, authority.cert);
    peer.write(Uint8Array.of(5, 1, 0));
    await peer.untilReceived(2);
    peer.write(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, echo.port >> 8, echo.port & 255));
    await peer.untilReceived(12);
    expect([...peer.take().subarray(0, 4)]).toEqual([5, 0, 5, 0]);
    peer.write("hello");
    await peer.untilText("hello");
  });

  test("tells a client that speaks HTTP without TLS so, in clear", async () => {
    await using proxy = await startTlsProxy();
    const answer = await proxy.exchange("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
    expect(answer).toStartWith("HTTP/1.1 400 The client speaks HTTP without TLS\r\n");
    expect(answer).toMatch(/^Proxy-Status: .*http_request_error/m);
    expect(await proxy.record()).toMatchObject({
      status: 400,
      error: "http_request_error",
      detail: "protocol_not_served",
    });
  });

  test("says nothing in clear to a client whose TLS fails, and counts it", async () => {
    await using proxy = await startTlsProxy();
    const answer = await proxy.exchange(Uint8Array.of(5, 1, 0));
    expect(Buffer.from(answer, "latin1").toString("hex")).toBe("15030300020232");
    expect(await proxy.record()).toMatchObject({ detail: "client_tls_failed" });
    expect(await proxy.metrics()).toMatch(/penstock_failures_total\{[^}]*detail="client_tls_failed"[^}]*\} 1/);
  });

  test("closes a client that does not finish its hello in time, without a word, and counts it", async () => {
    await using proxy = await startTlsProxy({}, { timeouts: { handshake: "150ms" } });
    const peer = await connectSaying(proxy.port, Uint8Array.of(0x16, 3, 1));
    await peer.untilEnd();
    expect(peer.receivedBytes).toBe(0);
    expect(await proxy.record()).toMatchObject({ detail: "handshake_timeout" });
    expect(await proxy.metrics()).toMatch(/penstock_failures_total\{[^}]*detail="handshake_timeout"[^}]*\} 1/);
  });

  test("counts a client that says nothing, before the handshake or after it, as a probe and no failure", async () => {
    await using proxy = await startTlsProxy({}, { timeouts: { handshake: "400ms" } });
    using hasty = await connectRaw(proxy.port);
    hasty.finish();
    using slow = await connectRaw(proxy.port);
    using secured = await connectTls(proxy.port, authority.cert);
    using gone = await connectTls(proxy.port, authority.cert);
    gone.finish();
    await Promise.all([hasty, slow, secured, gone].map((peer) => peer.untilEnd()));
    for (const peer of [hasty, slow, secured, gone]) expect(peer.receivedBytes).toBe(0);
    let metrics = await proxy.metrics();
    while (!/^penstock_probes_total\{[^}]*\} 4$/m.test(metrics)) metrics = await proxy.metrics();
    expect(metrics).not.toMatch(/^penstock_failures_total\{[^}]*\} [1-9]/m);
    expect(proxy.records).toEqual([]);
  });

  test("counts a client against its limit before it may shake hands", async () => {
    await using proxy = await startTlsProxy({}, { limits: { connections: 1 } });
    using first = await connectTls(proxy.port, authority.cert);
    expect(await askTunnel(first)).toStartWith("HTTP/1.1 200 ");
    const second = await connectRaw(proxy.port);
    await second.untilEnd();
    expect(second.receivedBytes).toBe(0);
    expect(await proxy.record()).toMatchObject({ detail: "too_many_connections" });
  });

  test("knows users by their certificates, in rules and in records", async () => {
    const rules = [{ ...allowLoopback, users: ["alice@corp.test"] }];
    await using proxy = await startTlsProxy({ tls: clientCa }, { rules, default: "deny" });
    using peer = await connectTls(proxy.port, authority.cert, "localhost", alice);
    expect(await askTunnel(peer)).toStartWith("HTTP/1.1 200 ");
    peer.finish();
    await peer.untilEnd();
    expect(await proxy.record()).toMatchObject({ user: "alice@corp.test" });
  });

  test("refuses a client without a certificate in HTTP, with the reason", async () => {
    await using proxy = await startTlsProxy({ tls: clientCa });
    using peer = await connectTls(proxy.port, authority.cert);
    await peer.untilEnd();
    expect(peer.text).toMatch(/^HTTP\/1\.1 403 .*the client showed no certificate/s);
    expect(await proxy.record()).toMatchObject({ detail: "certificate_required" });
  });

  test("takes a password from a client without a certificate where that is optional", async () => {
    const users = [{ name: "bob", password: "secret" }];
    const tls = { ...clientCa, clientCertificate: "optional" as const };
    await using proxy = await startTlsProxy({ tls }, { users });
    using certified = await connectTls(proxy.port, authority.cert, "localhost", alice);
    expect(await askTunnel(certified)).toStartWith("HTTP/1.1 200 ");
    using nobody = await connectTls(proxy.port, authority.cert);
    expect(await askTunnel(nobody)).toStartWith("HTTP/1.1 407 ");
  });

  test("reads the PROXY header before TLS, in one packet with the ClientHello too", async () => {
    await using proxy = await startTlsProxy({ proxyProtocol: ["127.0.0.1"] }, { open: true });
    using balancer = startBalancer(proxy.port, "PROXY TCP4 192.0.2.7 192.0.2.8 4000 443\r\n");
    using peer = await connectTls(balancer.port, authority.cert);
    expect(await askTunnel(peer)).toStartWith("HTTP/1.1 200 ");
    peer.write("balanced");
    await peer.untilText("balanced");
    peer.finish();
    await peer.untilEnd();
    expect(await proxy.record()).toMatchObject({ client: "192.0.2.7:4000", status: 200 });
  });

  test("shows when its certificate expires", async () => {
    await using proxy = await startTlsProxy();
    // The end of the certificates of the test's authority: 2048-01-01.
    const expiry = `penstock_certificate_expiry_seconds{listener="127.0.0.1:${proxy.port}"} ${Date.UTC(2048, 0, 1) / 1000}`;
    expect((await proxy.metrics()).split("\n")).toContain(expiry);
  });

  test("drains: a tunnel within TLS goes on, and new clients find the port closed", async () => {
    const proxy = await startTlsProxy();
    using peer = await connectTls(proxy.port, authority.cert);
    await askTunnel(peer);
    const drained = proxy.daemon.drain();
    await expect(connectTls(proxy.port, authority.cert)).rejects.toThrow();
    peer.write("still here");
    await peer.untilText("still here");
    peer.finish();
    await drained;
  });
});
