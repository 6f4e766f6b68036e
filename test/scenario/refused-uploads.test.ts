import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { ask, ok, serveHttp } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { connectRaw, listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { connectTls } from "../support/tls-stand.ts";
import { reserveClosedPort } from "../support/unreachable.ts";

let authority: CertificateAuthority;
let files: Record<string, string>;

beforeAll(async () => {
  authority = await makeAuthority();
  const { cert, key } = await authority.issue();
  files = { "cert.pem": cert, "key.pem": key };
});

afterAll(() => authority[Symbol.asyncDispose]());

const listeners = ["a plain listener", "a listener with TLS"] as const;
type Where = (typeof listeners)[number];

function start(where: Where, config: PenstockConfig): Promise<TestProxy> {
  const tls = { cert: "cert.pem", key: "key.pem" };
  return startProxy({ ...config, listen: [{ port: 0, ...(where === listeners[1] && { tls }) }] }, { files });
}

function connect(where: Where, { port }: TestProxy): Promise<RawPeer> {
  return where === listeners[1] ? connectTls(port, authority.cert) : connectRaw(port);
}

/** More than all buffers on the way hold. */
const SIZE = 24_000_000;
const PIECE = new Uint8Array(1_000_000);

/** Sends a request and all of its body, and reads only then, as many programs do. */
async function upload(client: RawPeer, head: string): Promise<string> {
  client.pause();
  client.write(head);
  for (let sent = 0; sent < SIZE; sent += PIECE.length) client.write(PIECE);
  await client.until((peer) => peer.unwrittenBytes === 0, "the whole body to be taken");
  client.resume();
  await client.untilEnd();
  return client.text;
}

const length = `Content-Length: ${SIZE}\r\n`;
const users = [{ name: "ann", password: "secret" }];

describe.each([...listeners])("a client that sends everything before it reads, on %s,", (where) => {
  test.each([
    ["no credentials", { users }, "", 407],
    ["wrong credentials", { users }, `Proxy-Authorization: ${basic("ann", "x")["Proxy-Authorization"]}\r\n`, 407],
    ["no leave", { rules: [], default: "deny" as const }, "", 403],
  ])("hears that it has %s", async (_what, config, fields, status) => {
    await using proxy = await start(where, config);
    using client = await connect(where, proxy);
    const text = await upload(client, ask("PUT", "http://127.0.0.1:9/", length + fields));
    expect(text).toStartWith(`HTTP/1.1 ${status} `);
    expect(text).toContain("\r\nConnection: close\r\n");
    expect(client.end).toBe("fin");
  });

  test("hears that its body is not welcome at the origin, which closes at once", async () => {
    using server = listenRaw();
    await using proxy = await start(where, {});
    using client = await connect(where, proxy);
    const answer = upload(client, ask("PUT", `http://127.0.0.1:${server.port}/`, length));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    // It reads on for a moment, as a server does that wants to be heard.
    origin.consume = () => {};
    origin.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    origin.finish();
    expect(await answer).toMatch(/^HTTP\/1\.1 413 Too Large\r\n[^]*\r\n\r\nno$/);
    expect(client.end).toBe("fin");
  });

  test("hears that its upstream cannot be reached", async () => {
    const port = await reserveClosedPort();
    await using proxy = await start(where, { upstream: `http://127.0.0.1:${port}`, rules: [] });
    using client = await connect(where, proxy);
    expect(await upload(client, ask("PUT", "http://far.example/", length))).toStartWith("HTTP/1.1 502 ");
    expect(client.end).toBe("fin");
  });

  test("hears that there is no tunnel, whatever it said in advance", async () => {
    await using proxy = await start(where, { rules: [], default: "deny" });
    using client = await connect(where, proxy);
    expect(await upload(client, "CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: 127.0.0.1:9\r\n\r\n")).toStartWith(
      "HTTP/1.1 403 ",
    );
    expect(client.end).toBe("fin");
  });

  test("hears so in SOCKS, too", async () => {
    await using proxy = await start(where, { rules: [], default: "deny" });
    using client = await connect(where, proxy);
    const text = await upload(client, "\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x09");
    expect(text).toStartWith("\x05\x00\x05\x02\x00");
    expect(client.end).toBe("fin");
  });
});

test("a client that sends slowly after its refusal hears it at its end", async () => {
  await using proxy = await startProxy({ rules: [], default: "deny" });
  using client = await proxy.connect();
  client.pause();
  client.write(ask("PUT", "http://127.0.0.1:9/", "Content-Length: 10\r\n"));
  for (let piece = 0; piece < 10; piece += 1) {
    client.write("x");
    await Bun.sleep(100);
  }
  client.resume();
  await client.untilEnd();
  expect(client.text).toStartWith("HTTP/1.1 403 ");
  expect(client.end).toBe("fin");
});

/** How many connections are open, as the metrics say. */
async function countOpen(proxy: TestProxy): Promise<number> {
  return Number(/^penstock_connections_open (\d+)$/m.exec(await proxy.metrics())?.[1]);
}

async function untilNoneIsOpen(proxy: TestProxy): Promise<void> {
  while ((await countOpen(proxy)) > 0) await Bun.sleep(10);
}

/** Asks for what is denied, on a connection that stays open, and waits until the refusal is complete. */
async function beRefused(proxy: TestProxy): Promise<RawPeer> {
  const client = await proxy.connect();
  client.write(ask("GET", "http://192.0.2.1/", "Connection: close\r\n"));
  await client.until((peer) => peer.end === "fin", "the end of a refusal");
  expect(client.text).toStartWith("HTTP/1.1 403 ");
  return client;
}

// Together, for most of them wait: 5 s until a client that sends nothing is given up.
describe.concurrent("a refused connection that its client keeps open", () => {
  const rules = [allowLoopback];

  test("counts as open until it is closed", async () => {
    await using proxy = await startProxy({ rules, default: "deny" });
    using client = await beRefused(proxy);
    expect(await countOpen(proxy)).toBe(1);
    client.finish();
    await untilNoneIsOpen(proxy);
  });

  test("is closed in the end", async () => {
    await using proxy = await startProxy({ rules, default: "deny" });
    using _client = await beRefused(proxy);
    await untilNoneIsOpen(proxy);
  });

  test("is waited for only a moment when the proxy drains", async () => {
    await using proxy = await startProxy({ rules, default: "deny", timeouts: { drain: "1h" } });
    using client = await beRefused(proxy);
    await proxy.daemon.drain();
    expect(client.end).toBe("fin");
  });

  test.each([
    ["all", { connections: 2 }],
    ["one address", { perClient: { connections: 2 } }],
  ])("makes room for the next one, the oldest first, when the limit for %s is reached", async (_what, limits) => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ rules, default: "deny", limits });
    using first = await beRefused(proxy);
    using second = await beRefused(proxy);
    expect(await countOpen(proxy)).toBe(2);
    using client = await proxy.connect();
    client.write(ask("GET", origin.uri()));
    await client.untilText("\r\n\r\nx");
    expect(client.text).toStartWith("HTTP/1.1 200 ");
    expect(await countOpen(proxy)).toBe(2);
    // Whoever was closed resets what is sent to it.
    first.write("x");
    await first.until((peer) => peer.end === "reset", "a reset");
    expect(second.end).toBe("fin");
    // Nothing is left to give way.
    second.finish();
    using other = await proxy.connect();
    other.write(ask("GET", origin.uri()));
    await other.untilText("\r\n\r\nx");
    expect(await proxy.exchange(ask("GET", origin.uri(), "Connection: close\r\n"))).toStartWith("HTTP/1.1 429 ");
  });

  test("makes room for the same user", async () => {
    using origin = serveHttp(() => ok("x"));
    await using proxy = await startProxy({ users, rules, default: "deny", limits: { perUser: { connections: 1 } } });
    const fields = `Proxy-Authorization: ${basic("ann", "secret")["Proxy-Authorization"]}\r\nConnection: close\r\n`;
    using lingering = await proxy.connect();
    lingering.write(ask("GET", "http://192.0.2.1/", fields));
    await lingering.untilEnd();
    expect(lingering.text).toStartWith("HTTP/1.1 403 ");
    expect(await proxy.exchange(ask("GET", origin.uri(), fields))).toStartWith("HTTP/1.1 200 ");
  });

  test("is one of few of a client that may not connect at all", async () => {
    await using proxy = await startProxy({ clients: ["192.0.2.0/24"], limits: { connections: 16 } });
    await using stack = new AsyncDisposableStack();
    for (let count = 0; count < 12; count += 1) {
      const client = stack.use(await proxy.connect());
      await client.until((peer) => peer.end === "fin", "the end of a refusal");
      expect(client.text).toStartWith("HTTP/1.1 403 ");
    }
    expect(await countOpen(proxy)).toBe(4);
  });
});

test("an idle connection over TLS is closed also when its client never ends it", async () => {
  using origin = serveHttp(() => ok("x"));
  await using proxy = await start("a listener with TLS", { forward: { clientIdle: "100ms" } });
  using client = await connect("a listener with TLS", proxy);
  client.write(ask("GET", origin.uri()));
  await client.untilText("\r\n\r\nx");
  await client.until((peer) => peer.end === "fin", "the end");
  expect(await countOpen(proxy)).toBe(1);
  await untilNoneIsOpen(proxy);
});
