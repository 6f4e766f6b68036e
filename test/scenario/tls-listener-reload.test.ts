import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { checkConfig } from "../../src/config/check.ts";
import { compileConfig } from "../../src/config/compile.ts";
import { watchCertificates } from "../../src/config/watch-certificates.ts";
import { startDaemon } from "../../src/daemon.ts";
import type { Certificate } from "../support/certificate.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { allowLoopback } from "../support/proxy.ts";
import { listenEcho, type RawPeer, type RawServer } from "../support/raw-peer.ts";
import { makeFolder } from "../support/temporary-folder.ts";
import { connectTls } from "../support/tls-stand.ts";
import { waitFor } from "../support/wait-for.ts";

let authority: CertificateAuthority;
let certificates: Certificate[];
let echo: RawServer;

beforeAll(async () => {
  authority = await makeAuthority();
  certificates = [await authority.issue(), await authority.issue(), await authority.issue()];
  echo = listenEcho();
});

afterAll(async () => {
  echo[Symbol.dispose]();
  await authority[Symbol.asyncDispose]();
});

/** A proxy that follows the files of its certificate, in a folder of its own. */
async function startFollowingProxy() {
  const folder = await makeFolder();
  const messages: string[] = [];
  const [first] = certificates;
  if (first === undefined) throw new Error("There is no certificate");
  const replace = async ({ cert, key }: Certificate) => {
    // As careful programs write files that others read.
    for (const [name, text] of [["key.pem", key] as const, ["cert.pem", cert] as const]) {
      await writeFile(join(folder.path, `${name}.new`), text);
      await rename(join(folder.path, `${name}.new`), join(folder.path, name));
    }
  };
  await replace(first);
  const config = checkConfig({
    listen: [{ port: 0, tls: { cert: "cert.pem", key: "key.pem" } }],
    rules: [allowLoopback],
    log: { access: "off" },
  });
  if (!config.ok) throw new Error("The configuration of the test is wrong");
  const compiled = compileConfig(config.value, {
    files: new Map([
      ["cert.pem", first.cert],
      ["key.pem", first.key],
    ]),
    variables: {},
    folder: folder.path,
    terminal: false,
  });
  if (!compiled.ok) throw new Error("The configuration of the test does not compile");
  const started = await startDaemon(compiled.value, {
    accessSink: () => {},
    tell: (message) => messages.push(message),
  });
  if (!started.ok) throw new Error(started.message);
  const { daemon } = started;
  const watch = watchCertificates(compiled.value.tlsFiles, {
    replace: (listener, plan) => daemon.tls(listener)?.replace(plan) ?? { ok: false, message: "There is no TLS" },
    tell: (message) => messages.push(message),
    now: Date.now,
    settleMs: 30,
    pollMs: 20,
  });
  return {
    port: daemon.listeners[0]?.port ?? 0,
    messages,
    replace,
    async untilReplaced(count: number): Promise<void> {
      await waitFor(
        () => messages.filter((line) => line.startsWith("Read the certificates")).length >= count,
        "reloads",
      );
    },
    async [Symbol.asyncDispose]() {
      watch.close();
      await daemon.stop();
      await folder[Symbol.asyncDispose]();
    },
  };
}

/** A tunnel with one question and its answer; gives the serial number of the certificate that was shown. */
async function useProxy(port: number): Promise<{ peer: RawPeer; serial: string }> {
  const peer = await connectTls(port, authority.cert);
  const serial = peer.socket.getPeerCertificate().serialNumber;
  peer.write(`CONNECT 127.0.0.1:${echo.port} HTTP/1.1\r\nHost: 127.0.0.1:${echo.port}\r\n\r\nquestion`);
  await peer.until(({ text }) => text.startsWith("HTTP/1.1 200 ") && text.endsWith("question"), "the answer");
  return { peer, serial };
}

describe("the certificates of a TLS listener", () => {
  test("are replaced under load: no request fails, no tunnel ends, each certificate is shown", async () => {
    await using proxy = await startFollowingProxy();
    const lasting = await useProxy(proxy.port);
    const serials = new Set<string>();
    let served = 0;
    let over = false;
    const clients = Promise.all(
      Array.from({ length: 6 }, async () => {
        while (!over) {
          const { peer, serial } = await useProxy(proxy.port);
          serials.add(serial);
          peer.finish();
          await peer.untilEnd();
          served += 1;
        }
      }),
    );
    for (const [at, certificate] of [...certificates, ...certificates].slice(1).entries()) {
      const before = served;
      await proxy.replace(certificate);
      await proxy.untilReplaced(at + 1);
      await waitFor(() => served > before + 12, "clients of the new certificate");
    }
    over = true;
    await clients;
    expect(serials.size).toBe(certificates.length);
    lasting.peer.take();
    lasting.peer.write("still here");
    await lasting.peer.untilText("still here");
    // A look between the two files of a pair may find them not to match, and says so; the last word is that they do.
    const words = proxy.messages.filter((line) => /^(Cannot use|Read) the/.test(line));
    expect(words.at(-1)).toStartWith("Read the");
  });

  test("stay as they are while the new ones cannot be used", async () => {
    await using proxy = await startFollowingProxy();
    const { serial } = await useProxy(proxy.port);
    const [first, second] = certificates;
    if (first === undefined || second === undefined) throw new Error("There are no certificates");
    await proxy.replace({ cert: second.cert, key: first.key });
    await waitFor(() => proxy.messages.some((line) => line.includes("does not belong")), "the reason");
    expect((await useProxy(proxy.port)).serial).toBe(serial);
    await proxy.replace(second);
    await proxy.untilReplaced(1);
    expect((await useProxy(proxy.port)).serial).not.toBe(serial);
  });
});
