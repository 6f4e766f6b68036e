import { afterAll, beforeAll, describe, expect } from "bun:test";
import { join } from "node:path";
import { runCli } from "../../src/cli/run-cli.ts";
import { type CertificateAuthority, makeAuthority } from "../support/certificate-authority.ts";
import { createFakeIo } from "../support/fake-io.ts";
import { needs } from "../support/needs.ts";
import { expectProgram, type RunningProgram, startProgram } from "../support/program.ts";
import { startProxy, type TestProxy } from "../support/proxy.ts";
import { makeFolder, type TemporaryFolder } from "../support/temporary-folder.ts";

const test = needs("openssl", "tshark", "capinfos");

let authority: CertificateAuthority;
let folder: TemporaryFolder;
let proxy: TestProxy;

beforeAll(async () => {
  authority = await makeAuthority();
  const { cert, key } = await authority.issue();
  folder = await makeFolder({ "ca.pem": authority.cert, "cert.pem": cert, "key.pem": key });
  proxy = await startProxy(
    {
      listen: [{ port: 0 }, { port: 0, tls: { cert: "cert.pem", key: "key.pem" } }],
      rules: [{ name: "local", to: ["127.0.0.0/8", "localhost"], allowPrivate: true }],
    },
    { files: { "cert.pem": cert, "key.pem": key } },
  );
});

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

/** OpenSSL's own web server, which tells about the connection in its page. */
async function startServer(...args: string[]): Promise<{ port: number } & AsyncDisposable> {
  const files = ["-cert", join(folder.path, "cert.pem"), "-key", join(folder.path, "key.pem")];
  const server: RunningProgram = startProgram([
    "openssl",
    "s_server",
    "-accept",
    "127.0.0.1:0",
    ...files,
    "-www",
    ...args,
  ]);
  const deadline = performance.now() + 60_000;
  for (;;) {
    // It says "ACCEPT 127.0.0.1:12345" on standard output.
    const [, port] = /ACCEPT \S*:(\d+)/.exec(server.stdout) ?? [];
    if (port !== undefined) return { port: Number(port), [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
    if (performance.now() > deadline) throw new Error(`openssl said only: ${server.stdout} ${server.told.join()}`);
    await Bun.sleep(5);
  }
}

/** Traces into a capture and gives its path. */
async function capture(...args: string[]): Promise<string> {
  const io = createFakeIo({ folder: folder.path });
  const code = await runCli(["trace", "--ca=ca.pem", "--format=pcapng", "--force", "-o", "trace.pcapng", ...args], io);
  expect([code, io.told]).toEqual([0, [expect.stringContaining("holds the keys")]]);
  return join(folder.path, "trace.pcapng");
}

/** The requests that tshark sees in a capture when told what is spoken on which port. */
async function readRequests(file: string, ports: Readonly<Record<number, string>>): Promise<string[]> {
  const fields = ["-T", "fields", "-e", "frame.interface_name", "-e", "http.request.method"];
  const output = await expectProgram(["tshark", "-r", file, ...decode(ports), "-Y", "http.request", ...fields]);
  return output.trimEnd().split("\n");
}

/** What is inside of the TLS connection of a TCP stream. */
function followTls(file: string, ports: Readonly<Record<number, string>>, stream: number): Promise<string> {
  return expectProgram(["tshark", "-r", file, ...decode(ports), "-q", "-z", `follow,tls,ascii,${stream}`]);
}

function decode(ports: Readonly<Record<number, string>>): string[] {
  return Object.entries(ports).flatMap(([port, protocol]) => ["-d", `tcp.port==${port},${protocol}`]);
}

async function expectClean(file: string): Promise<void> {
  const [facts, expert] = await Promise.all([
    expectProgram(["capinfos", file]),
    expectProgram(["tshark", "-r", file, "-q", "-z", "expert,warn"]),
  ]);
  expect(facts).toContain("Number of decryption secrets in file: 1");
  expect(expert).not.toMatch(/Warns|Errors/);
}

describe("penstock trace --format pcapng, as tshark reads it,", () => {
  const suites: [string, string[], string[]][] = [
    ["TLS 1.2", ["-tls1_2"], ["--tls=1.2"]],
    ["TLS 1.2 with ChaCha20", ["-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"], []],
    ["TLS 1.2 with CBC", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], []],
    ["TLS 1.3", [], ["--tls=1.3"]],
    ["TLS 1.3 with AES-256", ["-ciphersuites", "TLS_AES_256_GCM_SHA384"], []],
    ["TLS 1.3 with ChaCha20", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"], []],
    ["TLS 1.3 after a HelloRetryRequest", ["-groups", "P-384"], []],
    ["TLS 1.3 that asks for a client certificate", ["-verify", "1"], ["--tls=1.3"]],
  ];
  for (const [name, serverArgs, traceArgs] of suites)
    test(`shows decrypted HTTP of ${name}`, async () => {
      await using server = await startServer(...serverArgs);
      const file = await capture(`https://localhost:${server.port}/`, ...traceArgs);
      const ports = { [server.port]: "tls" };
      const [requests, inside] = await Promise.all([
        readRequests(file, ports),
        followTls(file, ports, 0),
        expectClean(file),
      ]);
      expect(requests).toEqual(["wire\tGET"]);
      expect(inside).toContain("HTTP/1.0 200 ok");
    });

  test("shows decrypted HTTP through an HTTP proxy", async () => {
    await using server = await startServer();
    const file = await capture(`https://localhost:${server.port}/`, `--proxy=http://127.0.0.1:${proxy.port}`);
    const requests = await readRequests(file, { [proxy.port]: "http", [server.port]: "tls" });
    expect(requests).toEqual(["wire\tCONNECT", "wire\tGET"]);
    await expectClean(file);
  });

  test("shows the inside of a SOCKS tunnel", async () => {
    await using server = await startServer();
    const file = await capture(`https://localhost:${server.port}/`, `--proxy=socks5h://127.0.0.1:${proxy.port}`);
    const ports = { [server.port]: "tls" };
    expect(await readRequests(file, ports)).toContain("tunnel\tGET");
    expect(await followTls(file, ports, 1)).toContain("HTTP/1.0 200 ok");
    await expectClean(file);
  });

  test("shows both layers of TLS through a proxy that speaks it", async () => {
    await using server = await startServer();
    const port = proxy.daemon.listeners[1]?.port ?? 0;
    const file = await capture(`https://localhost:${server.port}/`, `--proxy=https://localhost:${port}`);
    const requests = await readRequests(file, { [port]: "tls", [server.port]: "tls" });
    expect(requests).toEqual(["wire\tCONNECT", "tunnel\tGET"]);
    await expectClean(file);
  });
});

describe("penstock trace and tshark", () => {
  /** The handshake messages of a trace and of tshark with the keys, in order. */
  async function compare(serverArgs: readonly string[]) {
    await using server = await startServer(...serverArgs);
    const io = createFakeIo({ folder: folder.path });
    const url = `https://localhost:${server.port}/`;
    // One connection cannot be written in two forms: two that do the same are compared.
    expect(await runCli(["trace", "--ca=ca.pem", "--format=json", url], io)).toBe(0);
    const { steps } = JSON.parse(io.printed()) as { steps: { name: string; layer: string }[] };
    const file = await capture(url);
    const output = await expectProgram([
      ...["tshark", "-r", file, "-d", `tcp.port==${server.port},tls`, "-Y", "tls.handshake"],
      ...["-T", "fields", "-E", "aggregator=;", "-e", "tls.handshake.type"],
    ]);
    const theirs = output.split(/[;,\n]/).filter((type) => type !== "");
    const ours = steps.flatMap(({ layer, name }) => (layer === "tls" ? (TYPES[name] ?? []) : []));
    return { ours: ours.toSorted(), theirs: theirs.toSorted() };
  }

  /** IANA TLS HandshakeType. */
  const TYPES: Readonly<Record<string, string>> = {
    ClientHello: "1",
    ServerHello: "2",
    HelloRetryRequest: "2",
    NewSessionTicket: "4",
    EncryptedExtensions: "8",
    Certificate: "11",
    ServerKeyExchange: "12",
    CertificateRequest: "13",
    ServerHelloDone: "14",
    CertificateVerify: "15",
    ClientKeyExchange: "16",
    Finished: "20",
  };

  const servers: [string, string[]][] = [
    ["TLS 1.2", ["-tls1_2"]],
    ["TLS 1.3", []],
    ["TLS 1.3 with ChaCha20", ["-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"]],
    ["TLS 1.3 with a HelloRetryRequest and a CertificateRequest", ["-groups", "P-384", "-verify", "1"]],
  ];
  for (const [name, args] of servers)
    test(`name the same messages of ${name}`, async () => {
      const { ours, theirs } = await compare(args);
      expect(ours).toEqual(theirs);
    });
});

describe("penstock trace", () => {
  test("names the alert of a server that speaks no version that is offered", async () => {
    await using server = await startServer("-tls1_2");
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["trace", "--tls=1.3", `https://localhost:${server.port}/`], io)).toBe(1);
    expect(io.printed()).toContain("Alert protocol_version");
    expect(io.printed()).toContain("failed     tls, after ");
  });

  test("says that it does not decrypt what it does not decrypt", async () => {
    await using server = await startServer("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA");
    const io = createFakeIo({ folder: folder.path });
    expect(await runCli(["trace", "--ca=ca.pem", `https://localhost:${server.port}/`], io)).toBe(0);
    expect(io.printed()).toMatch(/note {7}TLS to the server: This tool does not decrypt the cipher suite/);
    expect(io.printed()).toContain("{Handshake message, encrypted}");
    expect(io.printed()).toContain("{HTTP/1.0 200 ok}");
  });
});
