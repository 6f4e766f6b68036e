import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { connect as connectTls } from "node:tls";
import { encodeProxyHeaderV2 } from "../../src/protocol/proxy-header/proxy-header-v2.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { makeCertificate } from "../support/certificate.ts";
import { makeIp } from "../support/make-policy.ts";
import { allowLoopback, startProxy, type TestProxy, type TestProxyOptions, waitFor } from "../support/proxy.ts";
import { listenEcho, listenRaw, type RawPeer } from "../support/raw-peer.ts";

const DESTINATION = { ip: makeIp("198.51.100.1"), port: 8080 };

/** Both versions of the header of a client. */
function writeHeaders(client: string, port = 4711): [version: string, bytes: Uint8Array][] {
  const source = { ip: makeIp(client), port };
  return [
    ["1", Buffer.from(`PROXY TCP4 ${client} 198.51.100.1 ${port} 8080\r\n`)],
    ["2", encodeProxyHeaderV2({ kind: "proxy", source, destination: DESTINATION, tlvs: [] })],
  ];
}

function writeConnect(target: string): string {
  return `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
}

/** A proxy behind a load balancer on this machine. */
function startBehind(config: PenstockConfig = {}, options?: TestProxyOptions): Promise<TestProxy> {
  return startProxy({ open: true, listen: [{ port: 0, proxyProtocol: ["127.0.0.0/8"] }], ...config }, options);
}

/** Sends `bytes`, after a header if there is one, and gives everything that comes back until the end. */
async function exchange(proxy: TestProxy, ...bytes: (string | Uint8Array)[]): Promise<string> {
  using peer = await proxy.connect();
  for (const part of bytes) peer.write(part);
  await peer.untilEnd();
  return peer.text;
}

async function openEcho(peer: RawPeer, target: string): Promise<void> {
  peer.write(`${writeConnect(target)}hello`);
  await peer.untilText("hello");
  expect(peer.text).toStartWith("HTTP/1.1 200 ");
}

describe("behind a load balancer that introduces its clients", () => {
  for (const [version, header] of writeHeaders("192.0.2.7")) {
    test(`version ${version} tells rules and log who the client is, byte by byte as well`, async () => {
      using echo = listenEcho();
      await using proxy = await startBehind({
        rules: [{ ...allowLoopback, from: ["192.0.2.7"] }],
        default: "deny",
      });
      const target = `127.0.0.1:${echo.port}`;
      using whole = await proxy.connect();
      whole.write(header);
      await openEcho(whole, target);
      using dribbled = await proxy.connect();
      for (const byte of header) {
        dribbled.write(Uint8Array.of(byte));
        await Bun.sleep(0);
      }
      await openEcho(dribbled, target);
      for (const peer of [whole, dribbled]) peer.finish();
      for (const index of [0, 1])
        expect(await proxy.record(index)).toMatchObject({ client: "192.0.2.7:4711", rule: "loopback", status: 200 });

      const [other] = writeHeaders("192.0.2.8");
      expect(await exchange(proxy, other?.[1] ?? "", writeConnect(target))).toContain("denied_by_default");
    });
  }

  test("an IPv4-mapped client is the IPv4 one", async () => {
    using echo = listenEcho();
    await using proxy = await startBehind({ rules: [{ ...allowLoopback, from: ["192.0.2.0/24"] }], default: "deny" });
    using peer = await proxy.connect();
    peer.write("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4711 8080\r\n");
    await openEcho(peer, `127.0.0.1:${echo.port}`);
  });

  test("the clients that are introduced are the ones that are admitted and counted", async () => {
    using echo = listenEcho();
    await using proxy = await startBehind({
      clients: ["192.0.2.0/24"],
      limits: { perClient: { connections: 1 } },
    });
    const target = `127.0.0.1:${echo.port}`;
    const header = (client: string) => `PROXY TCP4 ${client} 198.51.100.1 4711 8080\r\n`;
    using first = await proxy.connect();
    first.write(header("192.0.2.1"));
    await openEcho(first, target);
    using second = await proxy.connect();
    second.write(header("192.0.2.2"));
    await openEcho(second, target);

    const crowded = await exchange(proxy, header("192.0.2.1"), writeConnect(target));
    expect(crowded).toStartWith("HTTP/1.1 429 ");
    expect(crowded).toContain("from this address");
    const stranger = await exchange(proxy, header("203.0.113.1"), writeConnect(target));
    expect(stranger).toStartWith("HTTP/1.1 403 ");
    expect(stranger).toContain("client_not_admitted");
    // The load balancer itself is no client.
    expect(await exchange(proxy, "PROXY UNKNOWN\r\n", writeConnect(target))).toContain("client_not_admitted");
  });

  test("all addresses of one IPv6 network count as one client, and those of another as another", async () => {
    using echo = listenEcho();
    await using proxy = await startBehind({ limits: { perClient: { connections: 1 } } });
    const target = `127.0.0.1:${echo.port}`;
    const header = (client: string) => `PROXY TCP6 ${client} 2001:db8::1 4711 8080\r\n`;
    using first = await proxy.connect();
    first.write(header("2001:db8:1:2::1"));
    await openEcho(first, target);
    const crowded = await exchange(proxy, header("2001:db8:1:2:3:4:5:6"), writeConnect(target));
    expect(crowded).toStartWith("HTTP/1.1 429 ");
    expect(crowded).toContain("from 2001:db8:1:2::/64, which counts as one client");
    using second = await proxy.connect();
    second.write(header("2001:db8:1:3::1"));
    await openEcho(second, target);
    first.finish();
    await first.untilEnd();
    await proxy.record();
    using third = await proxy.connect();
    third.write(header("2001:db8:1:2::9"));
    await openEcho(third, target);
  });

  for (const [name, local] of [
    ["UNKNOWN", Buffer.from("PROXY UNKNOWN 192.0.2.7 192.0.2.8 1 2\r\n")],
    ["LOCAL", encodeProxyHeaderV2({ kind: "local" })],
  ] as const)
    test(`${name} leaves the client to be the load balancer`, async () => {
      using echo = listenEcho();
      await using proxy = await startBehind();
      using peer = await proxy.connect();
      peer.write(local);
      await openEcho(peer, `127.0.0.1:${echo.port}`);
      const client = `127.0.0.1:${peer.socket.localPort}`;
      peer.finish();
      expect(await proxy.record()).toMatchObject({ client, status: 200 });
    });

  test("nothing is dialled for a peer that introduces nobody, and it is told", async () => {
    let dialled = 0;
    using target = listenRaw(() => (dialled += 1));
    await using proxy = await startBehind();
    const wrong: [string | Uint8Array, note: string][] = [
      [writeConnect(`127.0.0.1:${target.port}`), "bad_signature"],
      [`PROXY TCP4 192.0.2.7 198.51.100.1 04711 8080\r\n${writeConnect(`127.0.0.1:${target.port}`)}`, "bad_address"],
      [`PROXY TCP4 ${"1".repeat(200)}`, "too_long"],
      [Buffer.from("0d0a0d0a000d0a515549540a21110001", "hex"), "bad_length"],
      [Buffer.from("0d0a0d0a000d0a515549540a2111ffff", "hex"), "too_long"],
    ];
    for (const [index, [bytes, note]] of wrong.entries()) {
      const answer = await exchange(proxy, bytes);
      expect(answer).toStartWith("HTTP/1.1 400 ");
      expect(answer).toMatch(/^Proxy-Status: .*error=http_request_error.*proxy_header_missing/m);
      expect(answer).toContain(note);
      expect(await proxy.record(index)).toMatchObject({ detail: "proxy_header_missing", note, stage: "accept" });
    }
    expect(dialled).toBe(0);
    expect(await proxy.metrics()).toContain(`detail="proxy_header_missing"} ${wrong.length}\n`);
  });

  test("a header that does not come in time is waited for no longer than any handshake", async () => {
    await using proxy = await startBehind({ timeouts: { handshake: "100ms" } });
    expect(await proxy.exchange("PROXY TCP4 192.0.2.7 ")).toStartWith("HTTP/1.1 408 ");
    expect(await proxy.record()).toMatchObject({ detail: "handshake_timeout" });
  });

  test("a header that is cut short is a client that went away", async () => {
    await using proxy = await startBehind();
    using peer = await proxy.connect();
    peer.write("PROXY TCP4 192.0.2.7 ");
    peer.finish();
    expect(await proxy.record()).toMatchObject({ detail: "client_gone" });
  });

  test("a header from anybody else is no request", async () => {
    let dialled = 0;
    using target = listenRaw(() => (dialled += 1));
    await using proxy = await startProxy({ open: true, listen: [{ port: 0, proxyProtocol: ["192.0.2.0/24"] }] });
    for (const [, header] of writeHeaders("192.0.2.7")) {
      const answer = await exchange(proxy, header, writeConnect(`127.0.0.1:${target.port}`));
      expect(answer).toStartWith("HTTP/1.1 400 ");
      expect(answer).toContain("malformed_request");
    }
    expect(dialled).toBe(0);
    expect(await proxy.record()).toMatchObject({ detail: "malformed_request" });
    expect(String((await proxy.record())["client"])).toStartWith("127.0.0.1:");
  });

  test("SOCKS clients are introduced as well", async () => {
    using echo = listenEcho();
    await using proxy = await startBehind({ rules: [{ ...allowLoopback, from: ["192.0.2.7"] }], default: "deny" });
    using peer = await proxy.connect();
    peer.write("PROXY TCP4 192.0.2.7 198.51.100.1 4711 8080\r\n");
    peer.write(Uint8Array.of(5, 1, 0));
    await peer.untilReceived(2);
    peer.write(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, echo.port >> 8, echo.port & 0xff));
    await peer.untilReceived(12);
    expect([...peer.take()].slice(0, 4)).toEqual([5, 0, 5, 0]);
    peer.finish();
    expect(await proxy.record()).toMatchObject({ client: "192.0.2.7:4711", protocol: "socks5" });
  });

  test("each request of a kept connection is that client's", async () => {
    using origin = listenRaw((peer) => {
      peer.consume = () => peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    });
    await using proxy = await startBehind();
    using peer = await proxy.connect();
    peer.write("PROXY TCP4 192.0.2.7 198.51.100.1 4711 8080\r\n");
    for (const index of [0, 1]) {
      peer.write(`GET http://127.0.0.1:${origin.port}/ HTTP/1.1\r\nHost: a\r\n\r\n`);
      expect(await proxy.record(index)).toMatchObject({ client: "192.0.2.7:4711", status: 200 });
    }
  });
});

/** The socket, with a header in one segment with the first thing that is written: as a load balancer may send it. */
function joinHeader(header: Uint8Array, socket: Socket): Duplex {
  let head = header;
  const wire = new Duplex({
    read() {},
    write(chunk: Uint8Array, _, done) {
      socket.write(Buffer.concat([head, chunk]), done);
      head = Buffer.alloc(0);
    },
    destroy(_, done) {
      socket.destroy();
      done(null);
    },
  });
  socket.on("data", (chunk) => wire.push(chunk));
  socket.on("end", () => wire.push(null));
  return wire;
}

describe("behind a load balancer, over TLS", () => {
  test("the header comes before TLS, and the tunnel within", async () => {
    const { cert, key } = await makeCertificate();
    using echo = listenEcho();
    const tls = { cert: "cert.pem", key: "key.pem" };
    await using proxy = await startProxy(
      {
        open: true,
        listen: [{ port: 0, proxyProtocol: ["127.0.0.1"], tls }],
        rules: [{ ...allowLoopback, from: ["192.0.2.7"] }],
        default: "deny",
      },
      { files: { "cert.pem": cert, "key.pem": key } },
    );
    for (const [, header] of writeHeaders("192.0.2.7")) {
      const socket = connect(proxy.port, "127.0.0.1");
      await once(socket, "connect");
      const secured = connectTls({ socket: joinHeader(header, socket), ca: cert, servername: "localhost" });
      await once(secured, "secureConnect");
      secured.write(`${writeConnect(`127.0.0.1:${echo.port}`)}hello`);
      let text = "";
      while (!text.includes("hello")) text += String((await once(secured, "data"))[0]);
      expect(text).toStartWith("HTTP/1.1 200 ");
      secured.destroy();
    }
    expect(await proxy.record()).toMatchObject({ client: "192.0.2.7:4711" });
    // Without it nothing is said: nobody who waits for TLS understands an answer in clear.
    expect(await exchange(proxy, writeConnect(`127.0.0.1:${echo.port}`))).toBe("");
    await waitFor(
      () => proxy.records.some(({ detail }) => detail === "proxy_header_missing"),
      "the record of who said nothing of its client",
    );
  });
});

describe("a listener that serves some protocols only", () => {
  const ways = [
    { serves: "http", hello: Uint8Array.of(5, 1, 0), answer: Buffer.of(5, 255) },
    { serves: "http", hello: Uint8Array.of(4, 1, 0, 80, 127, 0, 0, 1, 0), answer: Buffer.of(0, 91) },
    { serves: "socks5", hello: Uint8Array.of(4, 1, 0, 80, 127, 0, 0, 1, 0), answer: Buffer.of(0, 91) },
    { serves: "socks4", hello: Uint8Array.of(5, 1, 0), answer: Buffer.of(5, 255) },
    { serves: "socks5", hello: Buffer.from("GET http://a/ HTTP/1.1\r\n"), answer: Buffer.from("HTTP/1.1 400 ") },
    { serves: "socks4", hello: Buffer.from(writeConnect("a:1")), answer: Buffer.from("HTTP/1.1 400 ") },
  ] as const;
  for (const { serves, hello, answer } of ways)
    test(`refuses what is not ${serves} and begins with ${hello[0]}, in its own words`, async () => {
      await using proxy = await startProxy({ listen: [{ port: 0, protocols: [serves] }] });
      const text = await exchange(proxy, hello);
      expect(Buffer.from(text, "latin1").subarray(0, answer.length)).toEqual(Buffer.from(answer));
      expect(await proxy.record()).toMatchObject({ detail: "protocol_not_served", status: expect.anything() });
    });

  test("serves each of those that it is told to", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy({ listen: [{ port: 0, protocols: ["http", "socks4"] }] });
    using http = await proxy.connect();
    await openEcho(http, `127.0.0.1:${echo.port}`);
    using socks = await proxy.connect();
    socks.write(Uint8Array.of(4, 1, echo.port >> 8, echo.port & 0xff, 127, 0, 0, 1, 0));
    await socks.untilReceived(8);
    expect([...socks.take()].slice(0, 2)).toEqual([0, 90]);
  });
});
