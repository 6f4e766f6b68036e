import { describe, expect, test } from "bun:test";
import type { Conn } from "../../src/net/conn/conn.ts";
import { LoopTimers } from "../../src/net/conn/loop-timers.ts";
import { allowOutside, dialInVain, dialTarget, dialWell, makeHop } from "../support/dial-stand.ts";
import { makeIp } from "../support/make-policy.ts";
import { waitFor } from "../support/proxy.ts";
import { listenRaw, type RawPeer, type RawServer } from "../support/raw-peer.ts";
import { listenBlackhole, reserveClosedPort } from "../support/unreachable.ts";

/** A public name: nobody but an upstream resolves it here. */
const TARGET = "target.example:443";

/** An upstream that says `answer` once it has read the head of a request. */
function listenUpstream(answer: string | ((peer: RawPeer) => void)): RawServer {
  return listenRaw((peer) => {
    void peer.untilText("\r\n\r\n").then(() => (typeof answer === "string" ? peer.write(answer) : answer(peer)));
  });
}

async function refusalOf(answer: string | ((peer: RawPeer) => void), connectMs = 10_000) {
  using upstream = listenUpstream(answer);
  return await dialInVain(TARGET, { hops: [makeHop("http", upstream.port)], connectMs });
}

describe("a dial through an HTTP upstream", () => {
  test("asks for the target by name, and says no more than it must", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    const outcome = await dialTarget(TARGET, { hops: [makeHop("http", upstream.port)] });
    const peer = await upstream.next();
    expect(peer.text).toBe("CONNECT target.example:443 HTTP/1.1\r\nHost: target.example:443\r\n\r\n");
    expect(outcome.ok && outcome.value.address).toMatchObject({ ip: { text: "127.0.0.1" }, port: upstream.port });
    if (outcome.ok) outcome.value.conn.reset();
  });

  test("shows its credentials, in UTF-8", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    using _ = await dialWell(TARGET, {
      hops: [makeHop("http", upstream.port, { user: "edge", password: "pässwort" })],
    });
    const shown = Buffer.from("edge:pässwort").toString("base64");
    expect((await upstream.next()).text).toContain(`\r\nProxy-Authorization: Basic ${shown}\r\n`);
  });

  test("writes an IPv6 target in brackets", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    using _ = await dialWell("[2606:4700::1]:443", { hops: [makeHop("http", upstream.port)] });
    expect((await upstream.next()).text).toStartWith(
      "CONNECT [2606:4700::1]:443 HTTP/1.1\r\nHost: [2606:4700::1]:443\r\n",
    );
  });

  test("reads an answer that arrives byte by byte, and carries bytes both ways", async () => {
    using upstream = listenUpstream((peer) => {
      void (async () => {
        for (const octet of "HTTP/1.1 200 Connection established\r\nVia: 1.1 up\r\n\r\n") {
          peer.write(octet);
          await Bun.sleep(0);
        }
      })();
    });
    using tunnel = await dialWell(TARGET, { hops: [makeHop("http", upstream.port)] });
    const peer = await upstream.next();
    peer.take();
    await tunnel.write("up");
    await peer.untilText("up");
    peer.write("down");
    await waitFor(() => tunnel.text === "down", "what the upstream sends");
  });

  test("keeps what follows the answer in the same breath", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\nSSH-2.0-target\r\n");
    using tunnel = await dialWell(TARGET, { hops: [makeHop("http", upstream.port)] });
    await waitFor(() => tunnel.text === "SSH-2.0-target\r\n", "the banner");
  });

  test("takes any 2xx for a yes, whatever framing it shows, and HTTP/1.0 too", async () => {
    for (const answer of [
      "HTTP/1.0 200 Connection established\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    ]) {
      using upstream = listenUpstream(`${answer}bytes`);
      using tunnel = await dialWell(TARGET, { hops: [makeHop("http", upstream.port)] });
      await waitFor(() => tunnel.text === "bytes", "the first bytes of the tunnel");
    }
  });

  test("skips informational answers, but not for ever", async () => {
    using upstream = listenUpstream(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\nx",
    );
    using tunnel = await dialWell(TARGET, { hops: [makeHop("http", upstream.port)] });
    await waitFor(() => tunnel.text === "x", "the first byte of the tunnel");
    expect(await refusalOf("HTTP/1.1 100 Continue\r\n\r\n".repeat(20))).toMatchObject({ detail: "upstream_protocol" });
  });

  test("tells that the upstream refuses, with what it said", async () => {
    expect(
      await refusalOf("HTTP/1.1 502 Bad\tGateway\r\nProxy-Status: up; error=dns_error\r\nContent-Length: 2\r\n\r\nno"),
    ).toEqual({
      detail: "upstream_refused",
      receivedStatus: 502,
      nextHop: "up",
      note: "502 Bad?Gateway (dns_error)",
    });
    expect(await refusalOf("HTTP/1.1 302 Found\r\nLocation: http://login/\r\n\r\n")).toMatchObject({
      detail: "upstream_refused",
      receivedStatus: 302,
    });
  });

  test("tells that the upstream wants other credentials, as its own matter", async () => {
    expect(await refusalOf("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")).toMatchObject({
      detail: "upstream_credentials",
      receivedStatus: 407,
      nextHop: "up",
    });
  });

  test("does not take for an answer what is none", async () => {
    const cases: [string, string][] = [
      ["SSH-2.0-OpenSSH_9\r\n", "bad_version at byte 0"],
      ["HTTP/1.1 200 OK\rVia: x\r\n\r\n", "bare_cr at byte 15"],
      ["HTTP/2.0 200 OK\r\n\r\n", "version_not_supported at byte 0"],
      ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "101 to CONNECT"],
    ];
    for (const [answer, note] of cases) {
      expect(await refusalOf(answer)).toMatchObject({ detail: "upstream_protocol", nextHop: "up", note });
    }
  });

  test("does not read a head without end", async () => {
    const failure = await refusalOf(`HTTP/1.1 200 OK\r\nX: ${"x".repeat(100_000)}`);
    expect(failure).toMatchObject({ detail: "upstream_protocol" });
    expect(failure.note).toStartWith("head_too_large");
  });

  test("tells an upstream that says nothing from one that hangs up", async () => {
    expect(await refusalOf(() => {}, 100)).toMatchObject({
      detail: "upstream_timeout",
      nextHop: "up",
      culprit: "up",
      unclear: true,
    });
    expect(await refusalOf((peer) => peer.finish())).toMatchObject({
      detail: "connection_reset",
      nextHop: "up",
      note: "closed before its answer",
    });
    expect(await refusalOf((peer) => peer.reset())).toMatchObject({ note: "reset before its answer" });
    expect(
      await refusalOf((peer) => {
        peer.write("HTTP/1.1 200");
        peer.finish();
      }),
    ).toMatchObject({ note: "closed in the middle of its answer" });
  });

  test("closes the connection to an upstream that refuses", async () => {
    using upstream = listenUpstream("HTTP/1.1 403 Forbidden\r\n\r\n");
    await dialInVain(TARGET, { hops: [makeHop("http", upstream.port)] });
    const peer = await upstream.next();
    await peer.untilEnd();
  });

  test("stops waiting when the client goes away, and hangs up", async () => {
    using upstream = listenUpstream(() => {});
    const client = { closed: false, whenClosed: undefined, timers: new LoopTimers() } as unknown as Conn;
    const dialling = dialInVain(TARGET, { hops: [makeHop("http", upstream.port)], client });
    const peer = await upstream.next();
    await peer.untilText("\r\n\r\n");
    client.whenClosed?.();
    expect((await dialling).detail).toBe("client_gone");
    await peer.untilEnd();
  });

  test("names the upstream that cannot be reached", async () => {
    const port = await reserveClosedPort();
    expect(await dialInVain(TARGET, { hops: [makeHop("http", port)] })).toMatchObject({
      detail: "connection_refused",
      nextHop: "up",
      note: "ECONNREFUSED",
    });
    await using hole = await listenBlackhole();
    expect(await dialInVain(TARGET, { hops: [makeHop("http", hole.port)], connectMs: 50 })).toMatchObject({
      detail: "connection_timeout",
      nextHop: "up",
    });
    const hop = makeHop("http", 3128, { endpoint: { host: { kind: "name", text: "no.test" }, port: 3128 } });
    expect(await dialInVain(TARGET, { hops: [hop] })).toMatchObject({ detail: "dns_error", nextHop: "up" });
  });

  test("refuses an upstream that is ourselves", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    const own = { has: (_: unknown, port: number) => port === upstream.port };
    expect(await dialInVain(TARGET, { hops: [makeHop("http", upstream.port)], services: { own } })).toMatchObject({
      detail: "proxy_loop",
      nextHop: "up",
    });
    expect(upstream.accepted).toHaveLength(0);
  });

  test("reaches an upstream inside whatever the target may be, and guards targets that are addresses", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    const hops = [makeHop("http", upstream.port)];
    const grant = { decision: allowOutside };
    using _ = await dialWell(TARGET, { hops, grant });
    for (const [target, note] of [
      ["10.0.0.1:443", "10.0.0.1 is private"],
      ["169.254.169.254:80", "169.254.169.254 is metadata"],
      ["[::ffff:127.0.0.1]:80", "127.0.0.1 is loopback"],
      ["localhost:80", "localhost is loopback"],
      ["a.localhost:80", "a.localhost is loopback"],
    ] as const) {
      expect(await dialInVain(target, { hops, grant })).toEqual({ detail: "address_prohibited", note });
    }
    expect(upstream.accepted).toHaveLength(1);
  });

  test("asks for an address where the rules have refused others of the name", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    const addresses = [makeIp("2606:4700::1"), makeIp("1.0.0.1")];
    const decision = allowOutside;
    const hops = [makeHop("http", upstream.port)];
    using _ = await dialWell(TARGET, { hops, grant: { decision, addresses, narrowed: true } });
    expect((await upstream.next()).text).toStartWith("CONNECT 1.0.0.1:443 ");
    using __ = await dialWell(TARGET, { hops, grant: { decision, addresses } });
    expect((await upstream.next()).text).toStartWith("CONNECT target.example:443 ");
  });

  test("connects to the upstream from the source address of the route", async () => {
    using upstream = listenUpstream("HTTP/1.1 200 OK\r\n\r\n");
    using tunnel = await dialWell(TARGET, { hops: [makeHop("http", upstream.port)], sourceAddress: "127.0.0.7" });
    expect(tunnel.conn.localAddress).toBe("127.0.0.7");
  });
});
