/**
 * Records real TLS handshakes for the tests: `bun test/support/record-handshakes.ts`
 * writes test/fixtures/tls/*.json anew. Needs openssl, curl, node, python3 and
 * java, and talks over loopback only. The keys it makes are thrown away.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const target = join(import.meta.dir, "../fixtures/tls");
const work = await mkdtemp(join(tmpdir(), "record-handshakes-"));

async function run(command: string[], options: { input?: string; mayFail?: boolean } = {}): Promise<string> {
  const child = spawn(command[0] ?? "", command.slice(1), { cwd: work });
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

/** Listens, passes everything on to `port`, and keeps what passed of the last connection. */
async function startRelay(port: number) {
  let segments: Segment[] = [];
  let open: Socket[] = [];
  const relay = createServer({ allowHalfOpen: true }, (client) => {
    segments = [];
    const mine = segments;
    const server = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    open = [client, server];
    const pass = (from: Segment["from"], source: Socket, sink: Socket) => {
      source.on("data", (chunk: Buffer) => {
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

interface Case {
  name: string;
  /** Arguments of `openssl s_server`, or "bun" for Bun's own server. */
  server: string;
  /** A command line; PORT is replaced, `s_client` is short for openssl's. */
  client: string;
  /** The same connection made first, to have a session to resume. */
  before?: string;
  input?: string;
  keylog?: boolean;
}

const RSA = "-cert rsa.pem -key rsa.key -cert_chain chain.pem";
const ECDSA = "-cert ecdsa.pem -key ecdsa.key -cert_chain chain.pem";
const OLD = "-cipher ALL:@SECLEVEL=0";
const GET = "GET / HTTP/1.0\r\n\r\n";
const SNI = "-servername server.example";

const cases: Case[] = [
  {
    name: "openssl-tls13",
    server: `${RSA} -tls1_3 -alpn h2,http/1.1`,
    client: `s_client ${SNI} -alpn h2,http/1.1`,
    keylog: true,
  },
  {
    name: "openssl-tls13-http",
    server: `${ECDSA} -tls1_3 -www`,
    client: `s_client ${SNI} -ign_eof`,
    input: GET,
    keylog: true,
  },
  {
    name: "openssl-tls12-http",
    server: `${ECDSA} -tls1_2 -www`,
    client: `s_client ${SNI} -ign_eof`,
    input: GET,
    keylog: true,
  },
  {
    name: "openssl-tls13-hello-retry",
    server: `${ECDSA} -tls1_3 -groups P-384`,
    client: `s_client ${SNI} -groups X25519:P-384`,
  },
  {
    name: "openssl-tls13-chacha",
    server: `${RSA} -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256`,
    client: `s_client`,
  },
  {
    name: "openssl-tls13-client-certificate",
    server: `${RSA} -tls1_3 -Verify 2 -CAfile root.pem`,
    client: `s_client ${SNI} -cert client.pem -key client.key`,
  },
  {
    name: "openssl-tls13-early-data",
    server: `${RSA} -tls1_3 -early_data -max_early_data 1000`,
    before: `s_client -sess_out session.pem`,
    client: `s_client -sess_in session.pem -early_data early.txt`,
  },
  {
    name: "openssl-tls12-ecdhe-rsa",
    server: `${RSA} -tls1_2 -alpn h2,http/1.1`,
    client: `s_client ${SNI} -alpn h2,http/1.1 -status`,
  },
  { name: "openssl-tls12-ecdhe-ecdsa", server: `${ECDSA} -tls1_2`, client: `s_client ${SNI} -curves P-256` },
  { name: "openssl-tls12-dhe", server: `${RSA} -tls1_2 ${OLD}`, client: `s_client -cipher DHE-RSA-AES256-GCM-SHA384` },
  { name: "openssl-tls12-rsa", server: `${RSA} -tls1_2`, client: `s_client -cipher AES128-SHA256` },
  {
    name: "openssl-tls12-anonymous",
    server: `-nocert -tls1_2 ${OLD}`,
    client: `s_client -cipher AECDH-AES128-SHA:@SECLEVEL=0`,
  },
  {
    name: "openssl-tls12-psk",
    server: `-nocert -tls1_2 -psk 0102 -psk_hint hint`,
    client: `s_client -psk 0102 -cipher PSK-AES128-GCM-SHA256`,
  },
  {
    name: "openssl-tls12-ecdhe-psk",
    server: `-nocert -tls1_2 -psk 0102 -psk_hint hint`,
    client: `s_client -psk 0102 -cipher ECDHE-PSK-CHACHA20-POLY1305`,
  },
  {
    name: "openssl-tls12-dhe-psk",
    server: `-nocert -tls1_2 -psk 0102`,
    client: `s_client -psk 0102 -cipher DHE-PSK-AES128-GCM-SHA256`,
  },
  {
    name: "openssl-tls12-client-certificate",
    server: `${RSA} -tls1_2 -Verify 2 -CAfile root.pem`,
    client: `s_client -cert client.pem -key client.key`,
  },
  {
    name: "openssl-tls12-ticket",
    server: `${RSA} -tls1_2`,
    before: `s_client -sess_out session.pem`,
    client: `s_client -sess_in session.pem`,
  },
  {
    name: "openssl-tls12-session-id",
    server: `${RSA} -tls1_2 -no_ticket`,
    before: `s_client -sess_out session.pem`,
    client: `s_client -sess_in session.pem`,
  },
  {
    name: "openssl-tls12-fragments",
    server: `${RSA} -tls1_2 -max_send_frag 512`,
    client: `s_client ${SNI} -max_send_frag 512 -alpn ${Array.from({ length: 40 }, (_, i) => `protocol-number-${i}`).join()}`,
  },
  { name: "openssl-tls11", server: `${RSA} -tls1_1 ${OLD}`, client: `s_client -cipher ALL:@SECLEVEL=0` },
  { name: "openssl-tls10", server: `${RSA} -tls1 ${OLD}`, client: `s_client -cipher ALL:@SECLEVEL=0` },
  {
    name: "openssl-tls10-client-certificate",
    server: `${RSA} -tls1 ${OLD} -Verify 2 -CAfile root.pem`,
    client: `s_client -cipher ALL:@SECLEVEL=0 -cert client.pem -key client.key`,
  },
  {
    name: "openssl-no-shared-cipher",
    server: `${RSA} -tls1_2 -cipher AES256-GCM-SHA384`,
    client: `s_client -tls1_2 -cipher AES128-SHA256`,
  },
  { name: "openssl-protocol-version", server: `${RSA} -tls1_3`, client: `s_client -tls1_2` },
  { name: "openssl-unknown-ca-tls12", server: `${RSA} -tls1_2`, client: `s_client -verify_return_error` },
  { name: "openssl-unknown-ca-tls13", server: `${RSA} -tls1_3`, client: `s_client -verify_return_error` },
  { name: "bun-server-tls12", server: "bun", client: `s_client ${SNI} -tls1_2 -alpn http/1.1` },
  { name: "bun-server-tls13", server: "bun", client: `s_client ${SNI}` },
  {
    name: "curl",
    server: `${RSA} -www`,
    client: `curl -sk --resolve server.example:PORT:127.0.0.1 https://server.example:PORT/`,
  },
  { name: "node", server: `${RSA} -www`, client: `node client.cjs PORT` },
  { name: "bun", server: `${RSA} -www`, client: `${process.execPath} client.cjs PORT` },
  { name: "python", server: `${RSA} -www`, client: `python3 client.py PORT` },
  { name: "java", server: `${RSA} -www`, client: `java Client.java PORT` },
];

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

async function record(one: Case): Promise<void> {
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
  const provenance = `Recorded by test/support/record-handshakes.ts with ${version}; server: ${one.server}; client: ${one.client}`;
  await writeFile(
    join(target, `${one.name}.json`),
    `${JSON.stringify({ provenance, ...(keylog && { keylog }), segments }, undefined, 2)}\n`,
  );
  console.log(one.name, segments.map(({ from, hex }) => `${from[0]}${hex.length / 2}`).join(" "));
}

await makeCertificates();
await writeClients();
const only = process.argv.slice(2);
for (const one of cases) if (only.length === 0 || only.includes(one.name)) await record(one);
await rm(work, { recursive: true });
