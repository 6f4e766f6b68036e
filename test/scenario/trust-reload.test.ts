import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { followFiles } from "../../src/config/follow-files.ts";
import type { PenstockConfig } from "../../src/config/schema.ts";
import type { Hop } from "../../src/proxy/route/hop.ts";
import { startDaemon } from "../../src/daemon.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import type { Certificate } from "../support/certificate.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { type ConnectUpstream, startConnectUpstream } from "../support/connect-upstream.ts";
import { ok } from "../support/http-origin.ts";
import { allowLoopback } from "../support/proxy.ts";
import { connectRaw, listenEcho, type RawServer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { waitFor } from "../support/wait-for.ts";

let authority: CertificateAuthority;
let stranger: CertificateAuthority;
let leaf: Certificate;
let upstream: ConnectUpstream;
let echo: RawServer;

beforeAll(async () => {
  [authority, stranger] = await Promise.all([makeAuthority(), makeAuthority()]);
  leaf = await authority.issue();
  upstream = await startConnectUpstream(leaf);
  echo = listenEcho();
});

afterAll(async () => {
  echo[Symbol.dispose]();
  await Promise.all([
    authority[Symbol.asyncDispose](),
    stranger[Symbol.asyncDispose](),
    upstream[Symbol.asyncDispose](),
  ]);
});

/** A proxy that trusts what `ca.pem` holds, and follows that file. */
async function startFollowing(config: PenstockConfig) {
  const folder = await makeFolder({ "ca.pem": stranger.cert });
  const messages: string[] = [];
  const compiled = compileForTest(
    { listen: [{ port: 0 }], log: { access: "off" }, ...config },
    { files: new Map([["ca.pem", stranger.cert]]), folder: folder.path },
  );
  const { trustFiles } = compiled;
  if (trustFiles === undefined) throw new Error("There is nothing to follow");
  const started = await startDaemon(compiled, { accessSink: () => {}, tell: (message) => messages.push(message) });
  if (!started.ok) throw new Error(started.message);
  const { daemon } = started;
  const watch = followFiles(trustFiles, {
    apply: (renew) => {
      daemon.renewTrust(renew);
      messages.push("renewed");
      return { ok: true };
    },
    refusal: "refused:",
    tell: (message) => messages.push(message),
    now: Date.now,
    settleMs: 20,
    pollMs: 20,
  });
  return {
    port: daemon.listeners[0]?.port ?? 0,
    daemon,
    messages,
    async replace(text: string, told: string): Promise<void> {
      const before = messages.length;
      await writeFile(join(folder.path, "new.pem"), text);
      await rename(join(folder.path, "new.pem"), join(folder.path, "ca.pem"));
      await waitFor(() => messages.slice(before).includes(told), told);
    },
    async [Symbol.asyncDispose]() {
      watch.close();
      await daemon.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

async function ask(port: number, request: string, until: string): Promise<string> {
  using peer = await connectRaw(port);
  peer.write(request);
  await peer.until(
    ({ text }) => text.includes("\r\n\r\n") && (text.includes(until) || !/^HTTP\S+ 200/.test(text)),
    until,
  );
  return peer.text;
}

describe("the file of authorities", () => {
  test("for an upstream counts as it is now, and what cannot be used is told", async () => {
    await using proxy = await startFollowing({
      upstreams: { safe: { url: `https://localhost:${upstream.port}`, ca: "ca.pem" }, plain: "http://127.0.0.1:9" },
      rules: [{ ...allowLoopback, via: "safe" }],
    });
    const target = `127.0.0.1:${echo.port}`;
    const connect = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 502");
    await proxy.replace(`${stranger.cert}${authority.cert}`, "renewed");
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 200");
    await proxy.replace("no certificate", "refused:");
    expect(proxy.messages.at(-1)).toContain('"ca.pem" has no certificate in PEM form.');
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 200");
    await proxy.replace(stranger.cert, "renewed");
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 502");
  });

  test("for a PAC file counts for its URL, which is asked at once, and for the proxies that it names", async () => {
    const source = `function FindProxyForURL() { return "HTTPS localhost:${upstream.port}"; }`;
    const server = Bun.serve({
      hostname: "127.0.0.1",
      port: 0,
      tls: { cert: leaf.cert, key: leaf.key },
      fetch: () => new Response(source),
    });
    await using proxy = await startFollowing({
      upstreams: { corp: { pac: `https://localhost:${server.port}/proxy.pac`, ca: "ca.pem" } },
      rules: [{ ...allowLoopback, via: "corp" }],
    });
    const target = `127.0.0.1:${echo.port}`;
    const connect = `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`;
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 503");
    await proxy.replace(authority.cert, "The PAC file of upstream corp can be used again.");
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 200");
    await proxy.replace(stranger.cert, "renewed");
    expect(await ask(proxy.port, connect, "\r\n\r\n")).toStartWith("HTTP/1.1 502");
    await server.stop(true);
  });

  test("for origins counts for connections that were kept, too", async () => {
    using origin = Bun.listen({
      hostname: "127.0.0.1",
      port: 0,
      tls: leaf,
      socket: { data: (socket) => void socket.write(ok("trusted")), error() {} },
    });
    await using proxy = await startFollowing({ forward: { ca: "ca.pem" }, rules: [allowLoopback] });
    const authorityOf = `127.0.0.1:${origin.port}`;
    const get = `GET https://${authorityOf}/ HTTP/1.1\r\nHost: ${authorityOf}\r\n\r\n`;
    expect(await ask(proxy.port, get, "trusted")).toStartWith("HTTP/1.1 502");
    await proxy.replace(authority.cert, "renewed");
    expect(await ask(proxy.port, get, "trusted")).toEndWith("trusted");
    expect(await ask(proxy.port, get, "trusted")).toEndWith("trusted");
    await proxy.replace(stranger.cert, "renewed");
    expect(await ask(proxy.port, get, "trusted")).toStartWith("HTTP/1.1 502");
    origin.stop(true);
  });
});

test("new certificates replace the upstreams that have them and leave everything else as it is", () => {
  const files = new Map([
    ["ca.pem", stranger.cert],
    ["other.pem", stranger.cert],
  ]);
  const upstreams = {
    safe: { url: "https://a:443", ca: "ca.pem" },
    other: { url: "https://b:443", ca: "other.pem" },
    plain: "http://c:3128",
  };
  const { runtime, trustFiles } = compileForTest({ upstreams }, { files });
  expect(trustFiles?.files.map(({ name }) => name)).toEqual(["ca.pem", "other.pem"]);
  const renewed = trustFiles?.recompile(new Map([["ca.pem", authority.cert]]), 0);
  if (renewed?.ok !== true) throw new Error("The new certificate cannot be used");
  const next = renewed.value.runtime(runtime);
  expect((next.upstreams.get("safe") as Hop).tls?.ca).toEqual([authority.cert]);
  for (const name of ["other", "plain"]) expect(next.upstreams.get(name)).toBe(runtime.upstreams.get(name) as never);
  expect({ ...next, upstreams: runtime.upstreams }).toEqual(runtime);
  expect(next.forward).toBe(runtime.forward);
  expect(compileForTest({ upstreams: { plain: "http://c:3128" } }).trustFiles).toBeUndefined();
});
