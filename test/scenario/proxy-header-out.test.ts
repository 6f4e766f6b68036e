import { describe, expect, test } from "bun:test";
import { makeCertificate } from "../support/certificate.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { allowLoopback, startProxy, type TestProxy } from "../support/proxy.ts";
import { connectRaw, listenEcho, type RawPeer } from "../support/raw-peer.ts";
import { listenBehindProxyHeader, type StrictReceiver } from "../support/strict-receiver.ts";

/** The header of connection `index` as people write it: who, and where to. */
function describeHeader({ headers }: StrictReceiver, index = 0): string {
  const header = headers[index];
  if (header?.kind !== "proxy") return header?.kind ?? "none";
  return `${header.source.ip.text}:${header.source.port} to ${header.destination.ip.text}:${header.destination.port}`;
}

/** What the header of a connection by `peer` has to say. */
function expectedOf(peer: RawPeer, proxy: TestProxy): string {
  return `127.0.0.1:${peer.socket.localPort} to 127.0.0.1:${proxy.port}`;
}

function listenGreeting(): StrictReceiver {
  return listenBehindProxyHeader((peer, text) => peer.write(`got ${text}`));
}

/** An upstream behind a PROXY header that grants every tunnel and ends it itself. */
function listenGranting(): StrictReceiver {
  return listenBehindProxyHeader((peer, text) => {
    if (text.endsWith("\r\n\r\n")) peer.write("HTTP/1.1 200 OK\r\n\r\ngranted");
  });
}

describe("a PROXY header to a target", () => {
  for (const version of [1, 2] as const)
    test(`of version ${version} comes first and tells of the client`, async () => {
      using target = listenGreeting();
      await using proxy = await startProxy({ rules: [{ ...allowLoopback, proxyProtocol: version }] });
      const { peer } = await proxy.tunnel(`127.0.0.1:${target.port}`);
      using _ = peer;
      peer.write("hello");
      await peer.untilText("got hello");
      expect(describeHeader(target)).toBe(expectedOf(peer, proxy));
    });

  test("tells of the client that a load balancer has told us of, in its family", async () => {
    using target = listenGreeting();
    await using proxy = await startProxy({
      open: true,
      listen: [{ port: 0, proxyProtocol: ["127.0.0.1"] }],
      rules: [{ ...allowLoopback, proxyProtocol: 2 }],
    });
    using peer = await proxy.connect();
    peer.write("PROXY TCP6 2001:db8::7 2001:db8::1 4711 8080\r\n");
    peer.write(`CONNECT 127.0.0.1:${target.port} HTTP/1.1\r\nHost: 127.0.0.1:${target.port}\r\n\r\nhello`);
    await peer.untilText("got hello");
    expect(describeHeader(target)).toBe(`2001:db8::7:4711 to 127.0.0.1:${proxy.port}`);
  });

  test("is not sent where the rule leads through an upstream by default", async () => {
    using echo = listenEcho();
    await using upstream = await startConnectUpstream();
    await using proxy = await startProxy({
      upstreams: { corp: `http://127.0.0.1:${upstream.port}` },
      default: "corp",
      rules: [{ ...allowLoopback, proxyProtocol: 1 }],
    });
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    using _ = peer;
    peer.write("hello");
    await peer.untilText("hello");
    expect(peer.text).toBe("hello");
  });

  test("keeps connections to origins apart: each speaks for one client", async () => {
    using origin = listenBehindProxyHeader((peer, text) => {
      if (text.endsWith("\r\n\r\n")) peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    await using proxy = await startProxy({ rules: [{ ...allowLoopback, proxyProtocol: 2 }] });
    const request = `GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`;
    const expected: string[] = [];
    for (let count = 0; count < 2; count += 1) {
      using peer = await connectRaw(proxy.port);
      for (const answers of [1, 2]) {
        peer.write(request);
        await peer.until(({ text }) => text.split("\r\n\r\nok").length > answers);
      }
      expected.push(expectedOf(peer, proxy));
    }
    expect([0, 1].map((index) => describeHeader(origin, index))).toEqual(expected);
    expect(origin.headers).toHaveLength(2);
  });
});

describe("a PROXY header to an upstream", () => {
  for (const version of [1, 2] as const)
    test(`of version ${version} comes before the request for a tunnel`, async () => {
      using upstream = listenGranting();
      await using proxy = await startProxy({
        upstreams: { corp: { url: `http://127.0.0.1:${upstream.port}`, proxyProtocol: version } },
        default: "corp",
      });
      const { peer } = await proxy.tunnel("target.example:443");
      using _ = peer;
      await peer.untilText("granted");
      expect(describeHeader(upstream)).toBe(expectedOf(peer, proxy));
      expect(upstream.text).toStartWith("CONNECT target.example:443 HTTP/1.1\r\n");
    });

  test("comes before TLS", async () => {
    const certificate = await makeCertificate();
    await using secured = await startConnectUpstream(certificate);
    using echo = listenEcho();
    // What takes the header and hands everything after it on to the upstream.
    const inner = await connectRaw(secured.port);
    using _inner = inner;
    let passed = 0;
    using front = listenBehindProxyHeader((peer, text) => {
      inner.consume = (chunk) => peer.write(chunk);
      inner.write(text.slice(passed));
      passed = text.length;
    });
    await using proxy = await startProxy(
      {
        upstreams: { corp: { url: `https://localhost:${front.port}`, ca: "ca.pem", proxyProtocol: 2 } },
        rules: [{ allowPrivate: true, via: "corp" }],
      },
      { files: { "ca.pem": certificate.cert } },
    );
    const { peer } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    using _ = peer;
    peer.write("hello");
    await peer.untilText("hello");
    expect(describeHeader(front)).toBe(expectedOf(peer, proxy));
    expect(secured.asked).toEqual([`127.0.0.1:${echo.port}`]);
  });

  test("comes through the tunnel of the upstream before it", async () => {
    await using first = await startConnectUpstream();
    using second = listenGranting();
    await using proxy = await startProxy({
      upstreams: {
        first: `http://127.0.0.1:${first.port}`,
        second: { url: `http://127.0.0.1:${second.port}`, proxyProtocol: 1 },
      },
      default: ["first", "second"],
    });
    const { peer } = await proxy.tunnel("target.example:443");
    using _ = peer;
    await peer.untilText("granted");
    expect(describeHeader(second)).toBe(expectedOf(peer, proxy));
  });

  test("comes before a request that the upstream is to forward, on a connection of the client's own", async () => {
    using upstream = listenBehindProxyHeader((peer, text) => {
      if (text.endsWith("\r\n\r\n")) peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    await using proxy = await startProxy({
      upstreams: { corp: { url: `http://127.0.0.1:${upstream.port}`, proxyProtocol: 2 } },
      default: "corp",
    });
    const expected: string[] = [];
    for (let count = 0; count < 2; count += 1) {
      using peer = await connectRaw(proxy.port);
      peer.write("GET http://target.example/ HTTP/1.1\r\nHost: target.example\r\n\r\n");
      await peer.untilText("\r\n\r\nok");
      expected.push(expectedOf(peer, proxy));
    }
    expect(upstream.text).toStartWith("GET http://target.example/ HTTP/1.1\r\n");
    expect([0, 1].map((index) => describeHeader(upstream, index))).toEqual(expected);
  });
});
