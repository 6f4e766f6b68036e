import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { runCli } from "../../src/cli/run-cli.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import type { Certificate } from "../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { connectRaw } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";

const TOKEN = "scenario-token";
const tls = { cert: "cert.pem", key: "key.pem" };

let authority: CertificateAuthority;
let server: Certificate;
/** With a name that nothing in these tests resolves. */
let named: Certificate;
let client: Certificate;

beforeAll(async () => {
  authority = await makeAuthority();
  server = await authority.issue();
  named = await authority.issue({ names: ["DNS:ops.example"] });
  client = await authority.issue({ names: ["DNS:scraper.example"] });
});
afterAll(() => authority[Symbol.asyncDispose]());

const filesOf = ({ cert, key }: Certificate) => ({ "cert.pem": cert, "key.pem": key, "ca.pem": authority.cert });

function start(settings: object = {}, files: Record<string, string> = filesOf(server), port = 0): Promise<TestProxy> {
  return startProxy({ sidecar: { port, token: TOKEN, tls: { ...tls, ...settings } } }, { files });
}

function ask(proxy: TestProxy, path: string, options: BunFetchRequestInitTLS = {}, init: RequestInit = {}) {
  return fetch(`https://127.0.0.1:${proxy.daemon.sidecar?.port}${path}`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
    ...init,
    tls: { ca: authority.cert, ...options },
  });
}

/** Runs a command in a folder with the configuration of a running proxy. */
async function run(proxy: TestProxy, settings: object, files: Record<string, string>, ...argv: string[]) {
  const sidecar = { port: proxy.daemon.sidecar?.port, token: TOKEN, tls: { ...tls, ...settings } };
  await using folder = await makeFolder({ ...files, "proxy.config.json": { sidecar } });
  const io = createFakeIo({ folder: folder.path });
  return { code: await runCli(argv, io), printed: io.printed(), told: io.told };
}

describe("a sidecar with TLS", () => {
  test("is served over https alone, and says so to who speaks HTTP", async () => {
    await using proxy = await start();
    const port = proxy.daemon.sidecar?.port ?? 0;
    expect(proxy.daemon.sidecar?.text).toBe(`https://127.0.0.1:${port}`);
    expect(await (await ask(proxy, "/healthz")).text()).toBe("ok\n");
    expect((await ask(proxy, "/config")).status).toBe(200);
    expect((await ask(proxy, "/config", {}, { headers: {} })).status).toBe(401);
    using plain = await connectRaw(port);
    plain.write("GET /config HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer scenario-token\r\n\r\n");
    await plain.untilEnd();
    expect(plain.text).toStartWith("HTTP/1.1 400 ");
    expect(plain.text).toEndWith("This speaks TLS. Ask with https:// instead of http://.\n");
  });

  test("keeps a connection for several requests, and streams events", async () => {
    await using proxy = await start();
    for (let time = 0; time < 3; time += 1) expect((await ask(proxy, "/tunnels")).status).toBe(200);
    const leaving = new AbortController();
    const answer = await ask(
      proxy,
      "/events",
      {},
      { signal: leaving.signal, headers: { Authorization: `Bearer ${TOKEN}` } },
    );
    const reader = answer.body?.getReader();
    expect(Buffer.from((await reader?.read())?.value ?? []).toString()).toContain(": watching");
    leaving.abort();
  });

  test("asks for a certificate where there are authorities for those of clients, and for the token as well", async () => {
    await using proxy = await start({ clientCa: "ca.pem" });
    const refused = await ask(proxy, "/healthz");
    expect(refused.status).toBe(403);
    expect(await refused.text()).toContain("needs the certificate of a client");
    expect((await ask(proxy, "/config", client)).status).toBe(200);
    expect((await ask(proxy, "/config", client, { headers: {} })).status).toBe(401);
    await using other = await makeAuthority();
    expect((await ask(proxy, "/config", await other.issue())).status).toBe(403);
  });

  test("uses a new certificate, and goes over to TLS and back, at a reload", async () => {
    await using proxy = await start();
    const sidecar = { port: 0, token: TOKEN };
    await proxy.reload({ sidecar: { ...sidecar, tls } }, filesOf(named));
    const refused = await ask(proxy, "/healthz", {}, { headers: { Connection: "close" } }).catch(String);
    expect(refused).toContain("ALTNAME");
    expect((await ask(proxy, "/healthz", { serverName: "ops.example" })).status).toBe(200);
    await proxy.reload({ sidecar });
    expect((await proxy.ask("/config")).status).toBe(200);
    await proxy.reload({ sidecar: { ...sidecar, tls } }, filesOf(server));
    expect((await ask(proxy, "/config")).status).toBe(200);
  });

  test("may be asked under the names of its certificate, and under no other one", async () => {
    await using proxy = await start({}, filesOf(named));
    const under = (Host: string) => ({ headers: { Authorization: `Bearer ${TOKEN}`, Host } });
    expect((await ask(proxy, "/config", { serverName: "ops.example" }, under("ops.example"))).status).toBe(200);
    expect((await ask(proxy, "/config", { serverName: "ops.example" }, under("evil.example"))).status).toBe(403);
  });

  test("keeps its certificate when the new one cannot be used", async () => {
    await using proxy = await start();
    const outcome = await proxy.reload(
      { sidecar: { port: 0, token: TOKEN, tls } },
      { ...filesOf(server), "key.pem": named.key },
    );
    expect(outcome).toMatchObject({ kind: "invalid" });
    expect((await ask(proxy, "/config")).status).toBe(200);
  });

  test("has certificates that are followed", async () => {
    await using proxy = await start();
    const sidecar = { port: 9, token: TOKEN, tls };
    const { tlsFiles } = compileForTest({ sidecar }, { files: new Map(Object.entries(filesOf(server))) });
    expect(tlsFiles.map(({ listener, files }) => [listener, files.map(({ name }) => name)])).toEqual([
      ["sidecar", ["cert.pem", "key.pem"]],
    ]);
    const renewed = tlsFiles[0]?.recompile(new Map(Object.entries(filesOf(named))), Date.now());
    if (renewed?.ok !== true) throw new Error("The certificate of the test is not accepted");
    expect(proxy.daemon.tls("sidecar")?.replace(renewed.value)).toEqual({ ok: true });
    expect((await ask(proxy, "/healthz", { serverName: "ops.example" })).status).toBe(200);
  });

  test("gives its address to a successor that speaks TLS, too", async () => {
    await using old = await start({ ca: "ca.pem" });
    const port = old.daemon.sidecar?.port ?? 0;
    expect(
      (await ask(old, "/drain?for=10m", {}, { method: "POST", headers: { Authorization: `Bearer ${TOKEN}` } })).status,
    ).toBe(202);
    await using successor = await start({ ca: "ca.pem" }, filesOf(server), port);
    expect(successor.daemon.sidecar?.port).toBe(port);
    await waitFor(
      async () => (await ask(successor, "/readyz", {}, { headers: { Connection: "close" } })).status === 200,
      "the successor",
    );
  });

  test("has few connections, however many handshakes never end", async () => {
    await using proxy = await start();
    const port = proxy.daemon.sidecar?.port ?? 0;
    const hello = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    const peers = await Promise.all(Array.from({ length: 200 }, () => connectRaw(port)));
    for (const [at, peer] of peers.entries()) if (at % 2 === 0) peer.write(hello);
    await waitFor(() => peers.filter(({ end }) => end !== "open").length >= 200 - 64, "the end of most of them");
    expect((await ask(proxy, "/healthz")).status).toBe(200);
    await waitFor(() => (proxy.daemon.sidecar?.connections.open ?? 0) <= 16, "the bound of one address");
    for (const peer of peers) peer.reset();
  });
});

describe("a command that asks a sidecar with TLS", () => {
  test("trusts the authority in the file of its certificate, whatever the address", async () => {
    const files = { ...filesOf(named), "cert.pem": named.cert + authority.cert };
    await using proxy = await start({}, files);
    expect(await run(proxy, {}, files, "healthcheck")).toMatchObject({ code: 0, told: [] });
    expect(await run(proxy, {}, files, "usage", "--json")).toMatchObject({ code: 0, told: [] });
    expect(await run(proxy, {}, files, "check", "--diff")).toMatchObject({ code: 0 });
  });

  test("trusts the authority that is configured, and no other one", async () => {
    await using other = await makeAuthority();
    await using proxy = await start({ ca: "ca.pem" });
    expect(await run(proxy, { ca: "ca.pem" }, filesOf(server), "healthcheck")).toMatchObject({ code: 0 });
    const wrong = await run(proxy, { ca: "ca.pem" }, { ...filesOf(server), "ca.pem": other.cert }, "healthcheck");
    expect(wrong.code).toBe(1);
    expect(wrong.told.join()).toContain("Cannot reach the sidecar at https://127.0.0.1");
  });

  test("does not send its token to a server with another name", async () => {
    await using proxy = await start({}, filesOf(server));
    const files = { ...filesOf(await authority.issue({ names: ["DNS:other.example"] })) };
    await using stranger = await start({}, { ...filesOf(named), "cert.pem": named.cert });
    const { code, told } = await run(stranger, { ca: "ca.pem" }, files, "usage");
    expect(code).toBe(1);
    expect(told.join()).toContain("ALTNAME");
    expect((await ask(proxy, "/healthz")).status).toBe(200);
  });

  test("shows the certificate that is configured", async () => {
    const files = { ...filesOf(server), "client.pem": client.cert, "client.key": client.key };
    const settings = { clientCa: "ca.pem", ca: "ca.pem", client: { cert: "client.pem", key: "client.key" } };
    await using proxy = await start(settings, files);
    expect(await run(proxy, settings, files, "healthcheck")).toMatchObject({ code: 0, told: [] });
    const without = await run(proxy, { ...settings, client: undefined }, files, "usage");
    expect(without.code).toBe(1);
  });
});
