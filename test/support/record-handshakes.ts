/**
 * Records real TLS handshakes for the tests: `bun test/support/record-handshakes.ts`
 * writes test/fixtures/tls/*.json anew, or those that are named. Needs openssl,
 * curl, node, python3, java, go and chromium, and talks over loopback only. The
 * keys it makes are thrown away.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type HandshakeCase, handshakeCases } from "./handshake-cases.ts";

const target = join(import.meta.dir, "../fixtures/tls");
const work = await mkdtemp(join(tmpdir(), "record-handshakes-"));

async function run(command: string[], options: { input?: string; mayFail?: boolean } = {}): Promise<string> {
  // Go wants a place for what it builds, and writes elsewhere otherwise.
  const env = { ...process.env, GOCACHE: join(work, "go-cache") };
  const child = spawn(command[0] ?? "", command.slice(1), { cwd: work, env });
  let output = "";
  child.stdout.on("data", (chunk) => (output += chunk));
  child.stderr.on("data", (chunk) => (output += chunk));
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const [code] = await once(child, "close");
  if (code !== 0 && !options.mayFail) throw new Error(`"${command.join(" ")}" ended with ${code}:\n${output}`);
  return output;
}

function openssl(line: string): Promise<string> {
  return run(["openssl", ...line.split(" ")]);
}

async function makeCertificates(): Promise<void> {
  await writeFile(
    join(work, "ext.cnf"),
    [
      "[authority]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n",
      "[server]\nsubjectAltName=DNS:server.example,DNS:*.server.example,IP:127.0.0.1,IP:::1\n",
      "[client]\nextendedKeyUsage=clientAuth\n",
    ].join(""),
  );
  await openssl(
    "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 36500 -subj /O=Example/CN=Root",
  );
  const issue = async (name: string, key: string, subject: string, section: string, issuer: string) => {
    await openssl(`req -newkey ${key} -nodes -keyout ${name}.key -out ${name}.csr -subj ${subject}`);
    await openssl(
      `x509 -req -in ${name}.csr -CA ${issuer}.pem -CAkey ${issuer}.key -CAcreateserial -out ${name}.pem -days 36500 -extfile ext.cnf -extensions ${section}`,
    );
  };
  await issue("middle", "ec -pkeyopt ec_paramgen_curve:P-384", "/O=Example/CN=Intermediate", "authority", "root");
  await issue("rsa", "rsa:2048", "/CN=server.example", "server", "middle");
  await issue("ecdsa", "ec -pkeyopt ec_paramgen_curve:P-256", "/CN=server.example", "server", "middle");
  await issue("client", "ec -pkeyopt ec_paramgen_curve:P-256", "/CN=client", "client", "root");
  await writeFile(
    join(work, "chain.pem"),
    (await Bun.file(join(work, "middle.pem")).text()) + (await Bun.file(join(work, "root.pem")).text()),
  );
}

interface Segment {
  from: "client" | "server";
  hex: string;
}

/** Listens, passes everything on to `port`, and keeps what passed of the last connection on which something was said. */
async function startRelay(port: number) {
  let segments: Segment[] = [];
  let open: Socket[] = [];
  const relay = createServer({ allowHalfOpen: true }, (client) => {
    // Browsers open connections in advance that they may never use.
    const mine: Segment[] = [];
    const server = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    open = [client, server];
    const pass = (from: Segment["from"], source: Socket, sink: Socket) => {
      source.on("data", (chunk: Buffer) => {
        if (mine.length === 0) segments = mine;
        mine.push({ from, hex: chunk.toString("hex") });
        sink.write(chunk);
      });
      source.on("end", () => sink.end());
      source.on("error", () => sink.destroy());
    };
    pass("client", client, server);
    pass("server", server, client);
  }).listen(0, "127.0.0.1");
  await once(relay, "listening");
  const address = relay.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    take: () => segments,
    close: () => {
      for (const socket of open) socket.destroy();
      relay.close();
    },
  };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const address = probe.address();
  probe.close();
  return typeof address === "object" && address !== null ? address.port : 0;
}

async function canConnect(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, "127.0.0.1");
    const ok = await new Promise((resolve) =>
      socket.once("connect", () => resolve(true)).once("error", () => resolve(false)),
    );
    socket.destroy();
    if (ok) return;
    await Bun.sleep(20);
  }
}

async function writeClients(): Promise<void> {
  await writeFile(join(work, "early.txt"), "early bird\n");
  await writeFile(
    join(work, "client.cjs"),
    `require("tls").connect({host:"127.0.0.1",port:+process.argv[2],servername:"server.example",ALPNProtocols:["h2","http/1.1"],rejectUnauthorized:false}, function () { this.end("GET / HTTP/1.0\\r\\n\\r\\n"); this.resume(); });`,
  );
  await writeFile(
    join(work, "client.py"),
    `import socket, ssl, sys
context = ssl._create_unverified_context()
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1]))), server_hostname="server.example") as s:
    s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
    while s.recv(4096): pass
`,
  );
  await writeFile(
    join(work, "client.go"),
    `package main
import ("crypto/tls"; "io"; "os")
func main() {
  c, err := tls.Dial("tcp", "127.0.0.1:"+os.Args[1], &tls.Config{ServerName: "server.example", NextProtos: []string{"h2", "http/1.1"}, InsecureSkipVerify: true})
  if err != nil { panic(err) }
  io.WriteString(c, "GET / HTTP/1.0\\r\\n\\r\\n"); io.Copy(io.Discard, c); c.Close() }
`,
  );
  await writeFile(
    join(work, "chromium.sh"),
    `exec chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \\
  --disable-component-update --disable-sync --ignore-certificate-errors --user-data-dir="$(mktemp -d -p "$PWD")" \\
  --host-resolver-rules="MAP server.example 127.0.0.1, MAP * ~NOTFOUND" --dump-dom "https://server.example:$1/"
`,
  );
  await writeFile(
    join(work, "Client.java"),
    `import java.net.*; import javax.net.ssl.*; import java.security.cert.*;
public class Client { public static void main(String[] a) throws Exception {
  TrustManager all = new X509ExtendedTrustManager() {
    public void checkClientTrusted(X509Certificate[] c, String t) {} public void checkServerTrusted(X509Certificate[] c, String t) {}
    public void checkClientTrusted(X509Certificate[] c, String t, Socket s) {} public void checkServerTrusted(X509Certificate[] c, String t, Socket s) {}
    public void checkClientTrusted(X509Certificate[] c, String t, SSLEngine e) {} public void checkServerTrusted(X509Certificate[] c, String t, SSLEngine e) {}
    public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; } };
  SSLContext x = SSLContext.getInstance("TLS"); x.init(null, new TrustManager[] { all }, null);
  Socket plain = new Socket("127.0.0.1", Integer.parseInt(a[0]));
  SSLSocket s = (SSLSocket) x.getSocketFactory().createSocket(plain, "server.example", 443, true);
  s.getOutputStream().write("GET / HTTP/1.0\\r\\n\\r\\n".getBytes()); s.getOutputStream().flush();
  while (s.getInputStream().read() >= 0); s.close(); } }
`,
  );
}

async function startServer(line: string, port: number): Promise<() => Promise<void>> {
  if (line === "bun") {
    const file = (name: string) => Bun.file(join(work, name));
    const cert = (await file("rsa.pem").text()) + (await file("middle.pem").text());
    const server = Bun.listen({
      hostname: "127.0.0.1",
      port,
      tls: { cert, key: await file("rsa.key").text() },
      socket: { open() {}, data() {}, error() {} },
    });
    return async () => server.stop(true);
  }
  const child = spawn("openssl", ["s_server", "-accept", `127.0.0.1:${port}`, ...line.split(" ")], {
    cwd: work,
    stdio: ["pipe", "ignore", "ignore"],
  });
  await canConnect(port);
  return async () => {
    child.kill();
    await once(child, "close");
  };
}

/** The first line that a program says of itself, without what its wrapper complains about. */
async function readVersion(command: string): Promise<string> {
  const lines = (await run(command.split(" "))).split("\n");
  return lines.find((line) => /^\w.* \S*\d/.test(line)) ?? "unknown";
}

async function record(one: HandshakeCase): Promise<void> {
  const port = await freePort();
  const stop = await startServer(one.server, port);
  const relay = await startRelay(port);
  const start = async (line: string) => {
    const full = line
      .replace(/^s_client/, "openssl s_client -connect 127.0.0.1:PORT")
      .replaceAll("PORT", String(relay.port));
    const words = full.split(" ");
    if (one.keylog) words.push("-keylogfile", "keys.log");
    // s_client ends with its input: an answer must have time to come, for tickets follow the handshake.
    const command =
      words[0] === "openssl" ? ["sh", "-c", '(printf "%s" "$INPUT"; sleep 0.7) | "$@"', "sh", ...words] : words;
    process.env["INPUT"] = one.input ?? "";
    await run(command, { mayFail: true });
  };
  if (one.before) await start(one.before);
  await start(one.client);
  const segments = relay.take();
  relay.close();
  await stop();
  if (segments.length === 0) throw new Error(`Nothing recorded for ${one.name}`);
  const keylog = one.keylog ? await Bun.file(join(work, "keys.log")).text() : undefined;
  if (one.keylog) await rm(join(work, "keys.log"));
  const version = (await run(["openssl", "version"])).trim();
  const recorder = `Recorded by test/support/record-handshakes.ts with ${version}`;
  const client = one.version ? `${one.client} (${await readVersion(one.version)})` : one.client;
  const provenance = `${recorder}; server: ${one.server}; client: ${client}`;
  await writeFile(
    join(target, `${one.name}.json`),
    `${JSON.stringify({ provenance, ...(keylog && { keylog }), segments }, undefined, 2)}\n`,
  );
  console.log(one.name, segments.map(({ from, hex }) => `${from[0]}${hex.length / 2}`).join(" "));
}

await makeCertificates();
await writeClients();
const only = process.argv.slice(2);
for (const one of handshakeCases) if (only.length === 0 || only.includes(one.name)) await record(one);
await rm(work, { recursive: true });
