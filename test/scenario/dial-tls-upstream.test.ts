import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import type { HopTls } from "../../src/proxy/route/hop.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import type { Certificate } from "../support/certificate.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { dialInVain, dialWell, makeHop } from "../support/dial-stand.ts";
import { waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw, type RawPeer } from "../support/raw-peer.ts";

let authority: CertificateAuthority;
let leaf: Certificate;

beforeAll(async () => {
  authority = await makeAuthority();
  leaf = await authority.issue();
});

afterAll(() => authority[Symbol.asyncDispose]());

function trust(more: Partial<HopTls> = {}): HopTls {
  return { serverName: "localhost", ca: [authority.cert], ...more };
}

function makeTlsHop(port: number, tls: HopTls = trust()) {
  return makeHop("https", port, { tls });
}

async function failureBehind(options: TlsOptions, tls: HopTls = trust()) {
  await using upstream = await startConnectUpstream(options);
  const failure = await dialInVain("127.0.0.1:9", { hops: [makeTlsHop(upstream.port, tls)] });
  return { failure, asked: upstream.asked };
}

describe("a dial through an upstream over TLS", () => {
  test("verifies it, asks for the target, and carries bytes both ways", async () => {
    using echo = listenEcho();
    await using upstream = await startConnectUpstream(leaf);
    using tunnel = await dialWell(`127.0.0.1:${echo.port}`, { hops: [makeTlsHop(upstream.port)] });
    expect(tunnel.conn).toMatchObject({ encrypted: true, fd: -1, remotePort: upstream.port });
    await tunnel.write("ping");
    await waitFor(() => tunnel.text === "ping", "the echo");
    expect(upstream.asked).toEqual([`127.0.0.1:${echo.port}`]);
  });

  test.each([
    ["its common name alone", "test", ["IP:127.0.0.1"], "only subject alternative names count"],
    ["a wildcard for a part of a label", "foo.corp.test", ["DNS:f*.corp.test"], "is not for foo.corp.test"],
    ["an address as a DNS name", "127.0.0.1", ["DNS:127.0.0.1"], "is not for 127.0.0.1"],
  ])("does not trust a certificate with the name as %s (RFC 9525)", async (_, serverName, names, note) => {
    const { failure, asked } = await failureBehind(await authority.issue({ names }), trust({ serverName }));
    expect(failure).toMatchObject({ detail: "tls_certificate", note: expect.stringContaining(note) });
    expect(asked).toEqual([]);
  });

  test("takes a name with a dot at its end for the one without", async () => {
    using echo = listenEcho();
    await using upstream = await startConnectUpstream(leaf);
    const hop = makeTlsHop(upstream.port, trust({ serverName: "localhost." }));
    using tunnel = await dialWell(`127.0.0.1:${echo.port}`, { hops: [hop] });
    expect(tunnel.conn).toMatchObject({ encrypted: true });
  });

  test("carries megabytes through a reader that pauses", async () => {
    using echo = listenEcho();
    await using upstream = await startConnectUpstream(leaf);
    using tunnel = await dialWell(`127.0.0.1:${echo.port}`, { hops: [makeTlsHop(upstream.port)] });
    const body = Buffer.alloc(4 * 1024 * 1024, "0123456789abcdef!");
    tunnel.conn.pause();
    const written = tunnel.write(body);
    await Bun.sleep(0);
    tunnel.conn.resume();
    await written;
    await waitFor(() => tunnel.receivedBytes === body.length, "all of it");
    expect(tunnel.received.equals(body)).toBe(true);
  });

  test("ends its half and goes on to hear the other", async () => {
    using server = listenRaw();
    await using upstream = await startConnectUpstream(leaf);
    using tunnel = await dialWell(`127.0.0.1:${server.port}`, { hops: [makeTlsHop(upstream.port)] });
    const peer = await server.next();
    await tunnel.write("question");
    tunnel.conn.shutdown();
    await peer.untilEnd();
    expect(peer.text).toBe("question");
    peer.write("answer");
    peer.finish();
    await waitFor(() => tunnel.closed ?? tunnel.ended, "the end");
    expect(tunnel.text).toBe("answer");
  });

  test("hears the end of the other half and goes on to speak", async () => {
    using server = listenRaw();
    await using upstream = await startConnectUpstream(leaf);
    using tunnel = await dialWell(`127.0.0.1:${server.port}`, { hops: [makeTlsHop(upstream.port)] });
    const peer = await server.next();
    peer.write("hello");
    peer.finish();
    await waitFor(() => tunnel.ended, "the end");
    expect(tunnel.closed).toBeUndefined();
    await tunnel.write("still here");
    await peer.untilText("still here");
  });

  test("tells a reset from an end", async () => {
    await using upstream = await startConnectUpstream(leaf);
    using server = listenRaw();
    using tunnel = await dialWell(`127.0.0.1:${server.port}`, { hops: [makeTlsHop(upstream.port)] });
    upstream.sockets[0]?.resetAndDestroy();
    await waitFor(() => tunnel.closed, "the close");
    expect(tunnel.closed).toBe("reset");
  });

  test("shows a client certificate where one is wanted", async () => {
    using echo = listenEcho();
    const options = { ...leaf, requestCert: true, rejectUnauthorized: true, ca: authority.cert };
    await using upstream = await startConnectUpstream(options);
    const client = await authority.issue();
    using tunnel = await dialWell(`127.0.0.1:${echo.port}`, { hops: [makeTlsHop(upstream.port, trust(client))] });
    await tunnel.write("x");
    await waitFor(() => tunnel.text === "x", "the echo");
  });

  test("tells the alert of an upstream that wants a client certificate", async () => {
    const options = { ...leaf, requestCert: true, rejectUnauthorized: true, ca: authority.cert };
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      const { failure, asked } = await failureBehind({ ...options, maxVersion });
      expect(failure).toMatchObject({ detail: "tls_alert", nextHop: "up" });
      expect(asked).toEqual([]);
    }
  });

  test("does not trust an authority that it does not know, and says so", async () => {
    const { failure, asked } = await failureBehind(leaf, { serverName: "localhost" });
    expect(failure).toMatchObject({ detail: "tls_certificate", nextHop: "up" });
    expect(failure.note).toContain("authority that is not known");
    expect(asked).toEqual([]);
  });

  test("does not trust a certificate that is expired, too new or for another name", async () => {
    const expired = await authority.issue({ to: "20210101000000Z" });
    expect((await failureBehind(expired)).failure).toMatchObject({
      detail: "tls_certificate",
      note: "the certificate has expired (CERT_HAS_EXPIRED)",
    });
    const tooNew = await authority.issue({ from: "20470101000000Z" });
    expect((await failureBehind(tooNew)).failure).toMatchObject({
      detail: "tls_certificate",
      note: "the certificate is not valid yet (CERT_NOT_YET_VALID)",
    });
    const other = await authority.issue({ names: ["DNS:other.test"] });
    const { failure, asked } = await failureBehind(other);
    expect(failure).toMatchObject({ detail: "tls_certificate", note: "the certificate is not for localhost" });
    expect(asked).toEqual([]);
  });

  test("verifies an upstream that has an address and no name, and sends no name", async () => {
    const names: string[] = [];
    const server = createTlsServer({ ...leaf, SNICallback: (name, done) => (names.push(name), done(null)) });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    server.on("secureConnection", (socket) => socket.on("error", () => {}).end("HTTP/1.1 200 OK\r\n\r\nx"));
    const { port } = server.address() as { port: number };
    using tunnel = await dialWell("127.0.0.1:9", { hops: [makeTlsHop(port, trust({ serverName: "127.0.0.1" }))] });
    await waitFor(() => tunnel.text === "x", "the first byte");
    expect(names).toEqual([]);
    expect(
      await dialInVain("127.0.0.1:9", { hops: [makeTlsHop(port, trust({ serverName: "127.0.0.2" }))] }),
    ).toMatchObject({
      detail: "tls_certificate",
      note: "the certificate is not for 127.0.0.2",
    });
    server.close();
  });

  test("tells an upstream that speaks no TLS", async () => {
    const cases: [(peer: RawPeer) => void, string][] = [
      [(peer) => peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls_protocol"],
      [(peer) => peer.write("SSH-2.0-server\r\n"), "tls_protocol"],
      [(peer) => peer.finish(), "tls_protocol"],
      [(peer) => peer.reset(), "tls_protocol"],
      // A fatal alert, handshake_failure.
      [(peer) => peer.write(Uint8Array.of(21, 3, 3, 0, 2, 2, 40)), "tls_alert"],
    ];
    for (const [answer, detail] of cases) {
      using server = listenRaw((peer) => void peer.untilReceived(1).then(() => answer(peer)));
      expect(await dialInVain("127.0.0.1:9", { hops: [makeTlsHop(server.port)] })).toMatchObject({
        detail,
        nextHop: "up",
      });
    }
  });

  test("gives up on a handshake that does not go on, and hangs up", async () => {
    using server = listenRaw();
    const failure = await dialInVain("127.0.0.1:9", { hops: [makeTlsHop(server.port)], connectMs: 100 });
    expect(failure).toMatchObject({ detail: "upstream_timeout", culprit: "up", note: "in the TLS handshake" });
    await (await server.next()).untilEnd();
  });
});
