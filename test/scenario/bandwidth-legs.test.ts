import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PenstockConfig } from "../../src/config/schema.ts";
import type { Certificate } from "../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { startConnectUpstream } from "../support/connect-upstream.ts";
import { ask } from "../support/http-origin.ts";
import { allowLoopback, basic, startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw, type RawPeer } from "../support/raw-peer.ts";
import { connectTls } from "../support/tls-stand.ts";

let authority: CertificateAuthority;
let certificate: Certificate;

beforeAll(async () => {
  authority = await makeAuthority();
  certificate = await authority.issue();
});

afterAll(() => authority[Symbol.asyncDispose]());

const RATE = 2_000_000;
const RATE_TEXT = "2MB/s";
const BYTES = 1_000_000;
/** A full bucket may move at once: 100 ms of the rate. The rest is for clocks that are not read together. */
const AT_ONCE = RATE * 0.15;

const tlsListener: PenstockConfig["listen"] = [{ port: 0, tls: { cert: "cert.pem", key: "key.pem" } }];

function startLimited(config: PenstockConfig): Promise<TestProxy> {
  const files = { "cert.pem": certificate.cert, "key.pem": certificate.key, "ca.pem": authority.cert };
  return startProxy({ rules: [allowLoopback], ...config }, { files });
}

const connect = (proxy: TestProxy, isTls: boolean) =>
  isTls ? connectTls(proxy.port, authority.cert) : proxy.connect();

/** Opens a tunnel over a connection and takes the answer away. */
async function openTunnel(peer: RawPeer, port: number, fields: Record<string, string> = {}): Promise<void> {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  peer.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${lines.join("")}\r\n`);
  await peer.untilText("\r\n\r\n");
  expect(peer.take().toString("latin1")).toStartWith("HTTP/1.1 200 ");
  peer.receivedBytes = 0;
}

/** Sends bytes and gives how many more arrived than the rate and a full bucket allow. A slow machine makes it less. */
async function measureExcess(send: () => void, receiver: RawPeer): Promise<number> {
  const before = receiver.receivedBytes;
  const since = performance.now();
  send();
  await receiver.untilReceived(before + BYTES);
  const seconds = (performance.now() - since) / 1000;
  return receiver.receivedBytes - before - RATE * seconds - AT_ONCE;
}

const body = Buffer.alloc(BYTES, "b");

describe.each([
  ["a TLS listener", true, false],
  ["a TLS upstream", false, true],
  ["a TLS listener and a TLS upstream", true, true],
])("the limit of a tunnel over %s", (_legs, isTlsClient, hasTlsUpstream) => {
  test("holds in both directions", async () => {
    using server = listenRaw();
    await using upstream = await startConnectUpstream(certificate);
    const corp = { upstreams: { corp: { url: `https://localhost:${upstream.port}`, ca: "ca.pem" } } };
    await using proxy = await startLimited({
      ...(isTlsClient && { listen: tlsListener }),
      ...(hasTlsUpstream && { ...corp, rules: [{ ...allowLoopback, via: "corp" }] }),
      limits: { perClient: { bandwidth: RATE_TEXT } },
    });
    using client = await connect(proxy, isTlsClient);
    await openTunnel(client, server.port);
    const target = await server.next();
    expect(upstream.asked).toHaveLength(hasTlsUpstream ? 1 : 0);
    const excess = await Promise.all([
      measureExcess(() => client.write(body), target),
      measureExcess(() => target.write(body), client),
    ]);
    for (const bytes of excess) expect(bytes).toBeLessThanOrEqual(0);
    expect(target.received.equals(body) && client.received.equals(body)).toBe(true);
  });
});

describe.each([
  ["in clear", false],
  ["over a TLS listener", true],
])("the limit of forwarded bodies %s", (_leg, isTls) => {
  test("holds in both directions", async () => {
    using server = listenRaw();
    await using proxy = await startLimited({
      ...(isTls && { listen: tlsListener }),
      limits: { bandwidth: RATE_TEXT },
    });
    using client = await connect(proxy, isTls);
    const uri = `http://127.0.0.1:${server.port}/`;
    client.write(ask("POST", uri, `Content-Length: ${BYTES}\r\n`));
    const origin = await server.next();
    await origin.untilText("\r\n\r\n");
    expect(await measureExcess(() => client.write(body), origin)).toBeLessThanOrEqual(0);
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`;
    const send = () => {
      origin.write(answer);
      origin.write(body);
    };
    expect(await measureExcess(send, client)).toBeLessThanOrEqual(0);
    await client.untilReceived(BYTES + answer.length);
    expect(client.received.includes(body)).toBe(true);
  });
});

test("users of a TLS listener get what each of them may use: one three times as much as the other", async () => {
  using server = listenRaw();
  const password = "correct horse battery";
  const users = [
    { name: "one", password, limits: { bandwidth: "1MB/s" } },
    { name: "three", password, limits: { bandwidth: "3MB/s" } },
  ];
  await using proxy = await startLimited({ listen: tlsListener, users });
  const begin = async (user: string) => {
    const client = await connect(proxy, true);
    await openTunnel(client, server.port, basic(user, password));
    (await server.next()).write(Buffer.alloc(8_000_000, 7));
    return client;
  };
  using one = await begin("one");
  using three = await begin("three");
  await three.untilReceived(three.receivedBytes + 4_500_000);
  expect(three.receivedBytes / one.receivedBytes).toBeWithin(2.2, 3.8);
});
