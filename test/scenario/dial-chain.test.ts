import { afterAll, beforeAll, describe, expect, test } from "bun:test";
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

describe("a chain", () => {
  test("asks each hop for the next one, and the last one for the target", async () => {
    using echo = listenEcho();
    await using first = await startConnectUpstream();
    await using second = await startConnectUpstream();
    const hops = [makeHop("http", first.port, { name: "a" }), makeHop("http", second.port, { name: "b" })];
    using tunnel = await dialWell(`127.0.0.1:${echo.port}`, { hops });
    await tunnel.write("ping");
    await waitFor(() => tunnel.text === "ping", "the echo");
    expect(first.asked).toEqual([`127.0.0.1:${second.port}`]);
    expect(second.asked).toEqual([`127.0.0.1:${echo.port}`]);
    expect(tunnel.conn.encrypted).toBe(false);
  });

  test("speaks TLS to a hop behind a plain one", async () => {
    using echo = listenEcho();
    await using first = await startConnectUpstream();
    await using second = await startConnectUpstream(leaf);
    using tunnel = await dialWell(`127.0.0.1:${echo.port}`, {
      hops: [makeHop("http", first.port), makeTlsHop(second.port)],
    });
    await tunnel.write("ping");
    await waitFor(() => tunnel.text === "ping", "the echo");
  });

  test("names the hop that fails", async () => {
    await using first = await startConnectUpstream();
    using second = listenRaw((peer) => {
      void peer.untilText("\r\n\r\n").then(() => peer.write("HTTP/1.1 403 No\r\n\r\n"));
    });
    const hops = [makeHop("http", first.port, { name: "a" }), makeHop("http", second.port, { name: "b" })];
    expect(await dialInVain("127.0.0.1:9", { hops })).toEqual({
      detail: "upstream_refused",
      nextHop: "b",
      receivedStatus: 403,
      note: "403 No",
    });
  });
});

describe("TLS inside TLS", () => {
  async function withTwoHops(
    use: (port: (target: number) => Promise<Awaited<ReturnType<typeof dialWell>>>) => Promise<void>,
  ) {
    await using first = await startConnectUpstream(leaf);
    await using second = await startConnectUpstream(leaf);
    const hops = [makeTlsHop(first.port), makeTlsHop(second.port)];
    await use((target) => dialWell(`127.0.0.1:${target}`, { hops }));
  }

  test("carries bytes both ways", async () => {
    using echo = listenEcho();
    await withTwoHops(async (dialTo) => {
      using tunnel = await dialTo(echo.port);
      expect(tunnel.conn).toMatchObject({ encrypted: true, fd: -1, remoteAddress: "127.0.0.1" });
      await tunnel.write("ping");
      await waitFor(() => tunnel.text === "ping", "the echo");
    });
  });

  test("carries megabytes through a reader that pauses", async () => {
    using echo = listenEcho();
    await withTwoHops(async (dialTo) => {
      using tunnel = await dialTo(echo.port);
      const body = Buffer.alloc(2 * 1024 * 1024, "0123456789abcdef!");
      tunnel.conn.pause();
      const written = tunnel.write(body);
      await Bun.sleep(0);
      tunnel.conn.resume();
      await written;
      await waitFor(() => tunnel.receivedBytes === body.length, "all of it");
      expect(tunnel.received.equals(body)).toBe(true);
    });
  });

  test("takes no more than the carrier does while nobody reads, and loses nothing of it", async () => {
    using server = listenRaw((peer) => peer.pause());
    await withTwoHops(async (dialTo) => {
      using tunnel = await dialTo(server.port);
      const peer = await server.next();
      const body = new Uint8Array(64 * 1024 * 1024);
      const written = tunnel.write(body);
      // What fits is what the sockets on the way hold, and that is far less than all of it.
      let before = -1;
      while (before !== tunnel.conn.bytesWritten) {
        before = tunnel.conn.bytesWritten;
        await Bun.sleep(50);
      }
      expect(before).toBeLessThan(body.length);
      peer.consume = () => {};
      peer.resume();
      await written;
      await peer.untilReceived(body.length);
    });
  });

  test("ends its half and goes on to hear the other", async () => {
    using server = listenRaw();
    await withTwoHops(async (dialTo) => {
      using tunnel = await dialTo(server.port);
      const peer = await server.next();
      await tunnel.write("question");
      tunnel.conn.shutdown();
      expect(tunnel.conn.write(Uint8Array.of(1))).toBe(-1);
      await peer.untilEnd();
      peer.write("answer");
      peer.finish();
      await waitFor(() => tunnel.closed, "the close");
      expect([tunnel.text, tunnel.ended, tunnel.closed]).toEqual(["answer", true, "in order"]);
    });
  });

  test("hears the end of the other half and goes on to speak", async () => {
    using server = listenRaw();
    await withTwoHops(async (dialTo) => {
      using tunnel = await dialTo(server.port);
      const peer = await server.next();
      peer.write("hello");
      peer.finish();
      await waitFor(() => tunnel.ended, "the end");
      expect(tunnel.closed).toBeUndefined();
      await tunnel.write("still here");
      await peer.untilText("still here");
    });
  });

  test("closes in order: what was written still arrives", async () => {
    using server = listenRaw();
    await withTwoHops(async (dialTo) => {
      const tunnel = await dialTo(server.port);
      const peer = await server.next();
      await tunnel.write("last words");
      tunnel.conn.close();
      await peer.untilEnd();
      expect([peer.text, peer.end]).toEqual(["last words", "fin"]);
      peer.finish();
      await waitFor(() => tunnel.closed, "the close");
    });
  });

  test("tells a reset from an end, and frees the connection when it is reset here", async () => {
    await using first = await startConnectUpstream(leaf);
    await using second = await startConnectUpstream(leaf);
    using server = listenRaw();
    const hops = [makeTlsHop(first.port), makeTlsHop(second.port)];
    using there = await dialWell(`127.0.0.1:${server.port}`, { hops });
    first.sockets[0]?.resetAndDestroy();
    await waitFor(() => there.closed, "the close");
    expect(there.closed).toBe("reset");
    const here = await dialWell(`127.0.0.1:${server.port}`, { hops });
    here.conn.reset();
    await waitFor(() => here.closed, "the close");
    await waitFor(() => first.sockets[1]?.destroyed, "the end of the carrier");
  });

  test("verifies the inner hop, too", async () => {
    await using first = await startConnectUpstream(leaf);
    const other = await authority.issue({ names: ["DNS:other.test"] });
    await using second = await startConnectUpstream(other);
    for (const [tls, note] of [
      [trust(), "the certificate is not for localhost"],
      [trust({ serverName: "127.0.0.1" }), "the certificate is not for 127.0.0.1"],
      [{ serverName: "other.test" }, "by an authority that is not known"],
    ] as const) {
      const hops = [makeTlsHop(first.port), makeHop("https", second.port, { name: "inner", tls })];
      const failure = await dialInVain("127.0.0.1:9", { hops });
      expect(failure).toMatchObject({ detail: "tls_certificate", nextHop: "inner" });
      expect(failure.note).toContain(note);
    }
    expect(second.asked).toEqual([]);
  });

  test("tells an inner hop that speaks no TLS, hangs up or says nothing", async () => {
    await using first = await startConnectUpstream(leaf);
    const cases: [(peer: RawPeer) => void, string][] = [
      [(peer) => peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls_protocol"],
      [(peer) => peer.finish(), "tls_protocol"],
      [(peer) => peer.write(Uint8Array.of(21, 3, 3, 0, 2, 2, 40)), "tls_alert"],
      [() => {}, "upstream_timeout"],
    ];
    for (const [answer, detail] of cases) {
      using second = listenRaw((peer) => void peer.untilReceived(1).then(() => answer(peer)));
      const hops = [makeTlsHop(first.port), makeHop("https", second.port, { name: "inner", tls: trust() })];
      const connectMs = detail === "upstream_timeout" ? 200 : 10_000;
      expect(await dialInVain("127.0.0.1:9", { hops, connectMs })).toMatchObject({ detail, nextHop: "inner" });
    }
  });
});
