import { afterAll, beforeAll, describe, expect } from "bun:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { X509Certificate } from "node:crypto";
import { makeAuthority } from "../support/certificate-authority.ts";
import { runExecutable, type ServingExecutable, startExecutable } from "../support/executable.ts";
import { needs, python } from "../support/needs.ts";
import { expectProgram, runProgram } from "../support/program.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";

let stack: AsyncDisposableStack;
let folder: TemporaryFolder;
let proxy: ServingExecutable;
let origin: string;

/** What the first HTTPS proxy of somebody looks like: a certificate from `penstock cert`, and one listener. */
const config = {
  listen: [{ port: 0, tls: { cert: "fullchain.pem", key: "privkey.pem" } }],
  users: [{ name: "ann", password: "s3cret" }],
  rules: [{ to: ["127.0.0.1"], allowPrivate: true }],
  log: { access: "json" },
};

beforeAll(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await makeFolder({ "proxy.config.json": config }));
  const made = await runExecutable(["cert", "localhost", "127.0.0.1"], { cwd: folder.path });
  expect(made.code).toBe(0);
  proxy = stack.use(await startExecutable({ cwd: folder.path }));
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: () => new Response("from the origin") });
  stack.defer(() => server.stop(true));
  origin = `http://127.0.0.1:${server.port}/`;
});
afterAll(() => stack.disposeAsync());

const trusted = () => join(folder.path, "ca.pem");

describe("an HTTPS proxy with a certificate of `penstock cert`", () => {
  needs("curl")("carries curl, by name and by address", async () => {
    for (const host of ["localhost", "127.0.0.1"]) {
      const body = await expectProgram([
        "curl",
        "-sS",
        "--proxytunnel",
        "--proxy",
        `https://ann:s3cret@${host}:${proxy.port}`,
        "--proxy-cacert",
        trusted(),
        origin,
      ]);
      expect(body).toBe("from the origin");
    }
  });

  needs("curl")("is not trusted by a curl that does not know its authority", async () => {
    const { code } = await runProgram([
      "curl",
      "-sS",
      "-p",
      "-x",
      `https://ann:s3cret@localhost:${proxy.port}`,
      origin,
    ]);
    // CURLE_PEER_FAILED_VERIFICATION
    expect(code).toBe(60);
    const record = await proxy.record(({ detail }) => detail === "client_tls_failed");
    expect(record).toMatchObject({ note: "unknown_ca" });
  });

  needs("curl")("tells a curl that leaves TLS out what is wanted", async () => {
    const { stdout } = await runProgram([
      "curl",
      "-s",
      "-p",
      "-x",
      `http://127.0.0.1:${proxy.port}`,
      "-D",
      "-",
      origin,
    ]);
    expect(stdout).toMatch(/^HTTP\/1\.1 400 .*Proxy-Status: /s);
  });

  needs("python3", "python3-urllib3")("carries urllib3", async () => {
    const script = `
import sys, urllib3
headers = urllib3.make_headers(proxy_basic_auth="ann:s3cret")
proxy = urllib3.ProxyManager(sys.argv[1], proxy_headers=headers, ca_certs=sys.argv[2])
print(proxy.request("GET", sys.argv[3]).data.decode())
`;
    const output = await expectProgram([python, "-c", script, `https://localhost:${proxy.port}`, trusted(), origin]);
    expect(output).toBe("from the origin\n");
  });

  needs("openssl")("resumes every session that openssl offers again", async () => {
    for (const version of ["-tls1_2", "-tls1_3"]) {
      const session = join(folder.path, `session${version}.pem`);
      const run = (...args: string[]) =>
        expectProgram(
          ["openssl", "s_client", "-connect", `127.0.0.1:${proxy.port}`, version, "-CAfile", trusted(), ...args],
          { input: "GET http://a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" },
        );
      expect(await run("-ign_eof", "-sess_out", session)).toMatch(/^New, TLS/m);
      expect(await run("-ign_eof", "-sess_in", session)).toMatch(/^Reused, TLS/m);
    }
    const again = await expectProgram(
      ["openssl", "s_client", "-connect", `127.0.0.1:${proxy.port}`, "-tls1_2", "-reconnect", "-CAfile", trusted()],
      { input: "" },
    );
    expect(again.match(/^(?:New|Reused), TLS/gm)).toEqual(["New, TLS", ...Array<string>(5).fill("Reused, TLS")]);
  });

  needs("sslscan")("shows sslscan nothing that is weak", async () => {
    const report = await expectProgram(["sslscan", "--no-colour", "--xml=-", `127.0.0.1:${proxy.port}`]);
    const enabled = [...report.matchAll(/<protocol type="(\w+)" version="([\d.]+)" enabled="1"/g)];
    expect(enabled.map(([, type, version]) => `${type} ${version}`)).toEqual(["tls 1.2", "tls 1.3"]);
    const ciphers = [...report.matchAll(/<cipher [^>]*cipher="([^"]+)" [^>]*strength="([^"]+)"/g)];
    expect(ciphers.length).toBeGreaterThan(4);
    for (const [, name, strength] of ciphers) {
      expect(name).toMatch(/^(?:TLS_|ECDHE-).*(?:GCM|CHACHA20)/);
      expect(["strong", "acceptable"]).toContain(strength ?? "");
    }
    expect(report).toContain('<renegotiation supported="0"');
    expect(report).not.toMatch(/<heartbleed [^>]*vulnerable="1"/);
  });

  needs("openssl")("takes a renewed certificate while it runs", async () => {
    const serials = async () =>
      new X509Certificate(await readFile(join(folder.path, "fullchain.pem"))).serialNumber.toUpperCase();
    const before = await serials();
    const renewed = await runExecutable(["cert", "localhost", "127.0.0.1"], { cwd: folder.path });
    expect(renewed.code).toBe(0);
    await proxy.untilTold('Read the certificates again: "fullchain.pem" until ');
    const shown = await expectProgram(["openssl", "s_client", "-connect", `127.0.0.1:${proxy.port}`], { input: "" });
    const [pem = ""] = /-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/s.exec(shown) ?? [];
    expect(new X509Certificate(pem).serialNumber.toUpperCase()).toBe(await serials());
    expect(await serials()).not.toBe(before);
  });
});

describe("an executable with certificates that cannot be used", () => {
  needs("openssl")("does not start, and says which and when", async () => {
    await using authority = await makeAuthority();
    const [good, expired, early] = await Promise.all([
      authority.issue(),
      authority.issue({ to: "20210101000000Z" }),
      authority.issue({ from: "20470101000000Z" }),
    ]);
    await using place = await makeFolder({ "proxy.config.json": config });
    const start = async (cert: string, key: string) => {
      await place.write({ "fullchain.pem": cert, "privkey.pem": key });
      const { code, stderr } = await runExecutable([], { cwd: place.path });
      expect(code).toBe(78);
      return stderr;
    };
    expect(await start(expired.cert, expired.key)).toContain(
      'listen[0].tls.cert: The certificate "fullchain.pem" expired at 2021-01-01 00:00:00 UTC. Renew it.',
    );
    expect(await start(early.cert, early.key)).toContain("is not valid before 2047-01-01 00:00:00 UTC.");
    expect(await start(good.cert, early.key)).toContain(
      'listen[0].tls.key: The key "privkey.pem" does not belong to the first certificate in "fullchain.pem".',
    );
    expect(await start(good.cert, "")).toContain('The file "privkey.pem" is empty.');
  });
});
