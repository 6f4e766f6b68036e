import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { runCli } from "../../src/cli/run-cli.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import type { Certificate } from "../support/certificate.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { listenRaw } from "../support/raw-peer.ts";
import { readCapture } from "../support/read-capture.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";
import { holdClosedPort } from "../support/unreachable.ts";

let authority: CertificateAuthority;
let certificate: Certificate;
let folder: TemporaryFolder;
/** An HTTPS server of this process, which says its path. */
let server: ReturnType<typeof Bun.serve>;

beforeAll(async () => {
  authority = await makeAuthority();
  certificate = await authority.issue();
  folder = await makeFolder({ "ca.pem": authority.cert, "cert.pem": certificate.cert, "key.pem": certificate.key });
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: certificate.cert, key: certificate.key },
    fetch: (request) => new Response(`hello from ${new URL(request.url).pathname}`),
  });
});

afterAll(async () => {
  await server.stop(true);
  await authority[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

interface TraceJson {
  readonly ok: boolean;
  readonly failure?: { readonly stage: string; readonly text: string };
  readonly tls?: { readonly version: string };
  readonly proxy_tls?: { readonly version: string };
  readonly steps: readonly {
    readonly from: string;
    readonly to: string;
    readonly name: string;
    readonly encrypted?: boolean;
    readonly fields: readonly { readonly label: string; readonly value: string | readonly string[] }[];
  }[];
}

/** Runs `penstock trace --format json` and gives what it printed. */
async function trace(...args: string[]) {
  const io = createFakeIo({ folder: folder.path });
  const code = await runCli(["trace", "--format", "json", ...args], io);
  return { code, told: io.told, json: JSON.parse(io.printed() || "{}") as TraceJson };
}

const names = ({ steps }: TraceJson) => steps.map(({ name }) => name);
const url = (path = "/") => `https://localhost:${server.port}${path}`;

/** A proxy with a user, on a plain listener and one that speaks TLS. */
function startProxyWithTls(settings: PenstockConfig = {}): Promise<TestProxy> {
  const files = { "cert.pem": certificate.cert, "key.pem": certificate.key };
  return startProxy(
    {
      listen: [{ port: 0 }, { port: 0, tls: { cert: "cert.pem", key: "key.pem" } }],
      users: [{ name: "ci", password: "secret" }],
      rules: [{ name: "local", to: ["127.0.0.0/8", "localhost"], allowPrivate: true }],
      ...settings,
    },
    { files },
  );
}

describe("penstock trace", () => {
  test.each([
    ["1.2", "TLS 1.2"],
    ["1.3", "TLS 1.3"],
  ])("shows a direct connection with TLS %s, every message of it", async (flag, version) => {
    const { code, json } = await trace(url("/a/b?c"), "--ca", "ca.pem", "--tls", flag);
    expect(code).toBe(0);
    expect(json.tls).toMatchObject({ version });
    expect(names(json)).toEqual(
      expect.arrayContaining([
        "AAAA localhost?",
        "A localhost = 127.0.0.1",
        `TCP connect to 127.0.0.1:${server.port}`,
        "TCP connected",
        "ClientHello",
        "ServerHello",
        "Certificate",
        "Finished",
        "GET /a/b?c HTTP/1.1",
        "HTTP/1.1 200 OK",
      ]),
    );
    const encrypted = json.steps.find(({ name }) => name === "Certificate")?.encrypted;
    expect(encrypted).toBe(version === "TLS 1.3");
    expect(json.steps.filter(({ name }) => name.includes("unreadable"))).toEqual([]);
    const certificates = json.steps.find(({ name }) => name === "Certificate")?.fields;
    const { serialNumber } = new X509Certificate(certificate.cert);
    expect(certificates).toContainEqual({ label: "server serial", value: serialNumber });
    expect(certificates).toContainEqual({ label: "name", value: "is for localhost" });
    expect(certificates).toContainEqual({ label: "trust", value: 'trusted by CN=Test Authority of "ca.pem"' });
  });

  test.each(["http", "socks5", "socks5h"])("goes through a %s proxy with credentials", async (kind) => {
    await using proxy = await startProxyWithTls();
    const { code, json } = await trace(url(), "--ca=ca.pem", "--proxy", `${kind}://ci:secret@127.0.0.1:${proxy.port}`);
    expect(json.failure).toBeUndefined();
    expect(code).toBe(0);
    const asked = kind === "http" ? `CONNECT localhost:${server.port} HTTP/1.1` : "SOCKS5: succeeded";
    expect(names(json)).toContain(asked);
    expect(names(json)).toContain("HTTP/1.1 200 OK");
    expect(JSON.stringify(json)).not.toContain("secret@");
    expect(JSON.stringify(json)).not.toContain(btoa("ci:secret"));
    expect(await proxy.record()).toMatchObject({ user: "ci", target: expect.stringContaining(`:${server.port}`) });
  });

  test("goes through a proxy that itself speaks TLS, and shows both handshakes", async () => {
    await using proxy = await startProxyWithTls();
    const port = proxy.daemon.listeners[1]?.port;
    const { code, json } = await trace(
      url(),
      "--ca=ca.pem",
      "--tls=1.2",
      "--proxy",
      `https://ci:secret@localhost:${port}`,
    );
    expect(json.failure).toBeUndefined();
    expect(code).toBe(0);
    expect(json.proxy_tls?.version).toBe("TLS 1.3");
    expect(json.tls?.version).toBe("TLS 1.2");
    const hellos = json.steps.filter(({ name }) => name === "ClientHello").map(({ to }) => to);
    expect(hellos).toEqual(["proxy", "server"]);
    expect(json.steps.find(({ name }) => name.startsWith("CONNECT"))).toMatchObject({ from: "client", to: "proxy" });
  });

  test.each([
    ["http", 0],
    ["https", 1],
  ])("answers an %s proxy that asks for Digest, on another connection if need be", async (kind, listener) => {
    await using proxy = await startProxyWithTls({ auth: { schemes: ["digest"] } });
    const port = proxy.daemon.listeners[listener]?.port;
    const { code, json } = await trace(url(), "--ca=ca.pem", "--proxy", `${kind}://ci:secret@localhost:${port}`);
    expect(json.failure).toBeUndefined();
    expect(code).toBe(0);
    const said = json.steps.filter(({ name }) => /^CONNECT|^HTTP/.test(name)).map(({ name }) => name);
    expect(said).toEqual([
      `CONNECT localhost:${server.port} HTTP/1.1`,
      "HTTP/1.1 407 Proxy Authentication Required",
      `CONNECT localhost:${server.port} HTTP/1.1`,
      "HTTP/1.1 200 Connection Established",
      "HTTP/1.1 200 OK",
    ]);
    expect(json.steps.flatMap(({ fields }) => fields)).toContainEqual({
      label: "Proxy-Authorization",
      value: "Digest [redacted]",
    });
  });

  test("asks for the password that a URL leaves out", async () => {
    await using proxy = await startProxyWithTls();
    const io = createFakeIo({ folder: folder.path, passwords: ["secret"] });
    const args = ["trace", url(), "--ca=ca.pem", "--proxy", `http://ci@127.0.0.1:${proxy.port}`];
    expect(await runCli(args, io)).toBe(0);
    expect(io.printed()).toContain("{HTTP/1.1 200 OK}");
  });

  test("asks a proxy to forward plain HTTP, and a server itself without one", async () => {
    using plain = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("plain") });
    await using proxy = await startProxy();
    const direct = await trace(`http://127.0.0.1:${plain.port}/x`);
    expect(direct.code).toBe(0);
    expect(names(direct.json)).toContain("GET /x HTTP/1.1");
    const forwarded = await trace(`http://127.0.0.1:${plain.port}/x`, "--proxy", `http://127.0.0.1:${proxy.port}`);
    expect(forwarded.code).toBe(0);
    expect(names(forwarded.json)).toContain(`GET http://127.0.0.1:${plain.port}/x HTTP/1.1`);
    expect(forwarded.json.steps.at(-1)?.from ?? "").not.toBe("server");
  });

  test("writes the capture with its keys to a file", async () => {
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["trace", url(), "--ca=ca.pem", "--format=pcapng", "-o", "x.pcapng"], io)).toBe(0);
    const { packets } = readCapture(await Bun.file(join(folder.path, "x.pcapng")).bytes());
    expect(packets.length).toBeGreaterThan(10);
    expect(io.told).toEqual(["x.pcapng holds the keys of this connection: whoever has it can read everything."]);
  });

  test("says when a capture holds the credentials for the proxy, which the other forms leave out", async () => {
    await using proxy = await startProxyWithTls();
    const io = createFakeIo({ folder: folder.path });
    const proxyUrl = `socks5h://ci:secret@127.0.0.1:${proxy.port}`;
    const args = ["trace", url(), "--ca=ca.pem", "--format=pcapng", "-o", "y.pcapng", "--proxy", proxyUrl];
    expect(await runCli(args, io)).toBe(0);
    expect(io.told).toEqual([
      "y.pcapng holds the keys of this connection and the credentials for the proxy: whoever has it can read everything.",
    ]);
  });
});

describe("penstock trace that fails", () => {
  test("stops at a certificate that cannot be trusted, unless told otherwise", async () => {
    const { code, json } = await trace(url());
    expect(code).toBe(1);
    expect(json).toMatchObject({ ok: false, failure: { stage: "certificate" } });
    expect(names(json)).toContain("Certificate");
    expect(names(json)).not.toContain("GET / HTTP/1.1");
    expect((await trace(url(), "--insecure")).code).toBe(0);
  });

  test("stops at a certificate for another name", async () => {
    const other = await authority.issue({ names: ["DNS:other.example"] });
    using wrong = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      tls: { cert: other.cert, key: other.key },
      fetch: () => new Response(),
    });
    const { code, json } = await trace(`https://localhost:${wrong.port}`, "--ca=ca.pem");
    expect(code).toBe(1);
    expect(json.failure?.text).toStartWith("The certificate is not for localhost");
    const fields = json.steps.find(({ name }) => name === "Certificate")?.fields;
    expect(fields).toContainEqual({ label: "name", value: "IS NOT for localhost" });
  });

  test("stops where nothing listens", async () => {
    using closed = await holdClosedPort();
    const { code, json, told } = await trace(`https://127.0.0.1:${closed.port}`);
    expect(code).toBe(1);
    expect(json.failure).toMatchObject({ stage: "connect", text: "The target refused the connection (ECONNREFUSED)" });
    expect(names(json).at(-1)).toBe("TCP failed: ECONNREFUSED");
    expect(told).toEqual(["The trace failed (connect): The target refused the connection (ECONNREFUSED)."]);
  });

  test("stops at a proxy that refuses, and shows what it said", async () => {
    await using proxy = await startProxyWithTls();
    const { code, json } = await trace(url(), "--proxy", `http://ci:wrong@127.0.0.1:${proxy.port}`);
    expect(code).toBe(1);
    expect(json.failure?.stage).toBe("proxy");
    expect(names(json)).toContain("HTTP/1.1 407 Wrong user name or password");
    const socks = await trace(url(), "--proxy", `socks5h://ci:wrong@127.0.0.1:${proxy.port}`);
    expect(socks.json.failure?.stage).toBe("proxy");
    expect(names(socks.json)).toContain("SOCKS5 password: rejected");
  });

  test("stops at what is no TLS", async () => {
    using plain = listenRaw((peer) => peer.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const { code, json } = await trace(`https://127.0.0.1:${plain.port}`);
    expect(code).toBe(1);
    expect(json.failure?.stage).toBe("tls");
    expect(names(json)).toContain("Bytes that are no TLS");
  });

  test("stops when its time is up", async () => {
    using silent = listenRaw();
    const { code, json } = await trace(`https://127.0.0.1:${silent.port}`, "--timeout=200ms");
    expect(code).toBe(1);
    expect(json.failure).toMatchObject({ stage: "tls", text: "Not done after 200 ms" });
    expect(names(json)).toContain("ClientHello");
  });

  test("stops at a response that ends in the middle", async () => {
    using rude = listenRaw((peer) => {
      peer.write("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
      peer.finish();
    });
    const { code, json } = await trace(`http://127.0.0.1:${rude.port}`);
    expect(code).toBe(1);
    expect(json.failure).toMatchObject({
      stage: "http",
      text: "The server closed the connection in the middle of its response",
    });
    expect(names(json)).toContain("HTTP/1.1 200 OK");
  });

  test.each([
    [["ftp://example.org"], '"ftp://example.org" is not a URL of http or https.'],
    [["example.org", "--tls=1.1"], '--tls is "1.1". Write 1.2 or 1.3.'],
    [["example.org", "--format=xml"], '--format is "xml". Write one of text, mermaid, json, pcapng.'],
    [["example.org", "--timeout=soon"], '--timeout is "soon". Write a time such as 10s.'],
    [["example.org", "--ca=none.pem"], 'Cannot use --ca "none.pem": there is no such file or folder.'],
    [["example.org", "--proxy=ftp://x:1"], 'The URL of the proxy begins with "ftp".'],
    [["example.org", "--proxy=http://u:s3cret@"], "The URL of the proxy "],
    [["example.org", "more"], 'Found an argument too many: "trace" takes only URL.'],
    [[], "Missing URL."],
  ])("refuses %j", async (args, message) => {
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["trace", ...args], io)).toBe(2);
    expect(io.told[0]).toStartWith(message);
    expect(io.told.join()).not.toContain("s3cret");
  });
});
