/**
 * Writes docs/handshake.md anew: `bun test/support/write-handshake-tour.ts`.
 * Everything in it that looks like output is output, of connections over
 * loopback through a proxy that is started for the purpose. Needs openssl.
 */
import { join } from "node:path";
import { runCli } from "../../src/cli/run-cli.ts";
import { makeAuthority } from "./certificate-authority.ts";
import { createFakeIo } from "./fake-io.ts";
import { createFakeResolver } from "./fake-resolver.ts";
import { startProxy } from "./proxy.ts";
import { makeFolder } from "./temporary-folder.ts";

/** Where the tour is kept. */
export const TOUR_FILE: string = join(import.meta.dir, "../../docs/handshake.md");

const HOST = "www.example";

/** Makes the connections and gives the text of the page. */
export async function writeHandshakeTour(): Promise<string> {
  await using authority = await makeAuthority();
  const { cert, key } = await authority.issue({ names: [`DNS:${HOST}`] });
  await using folder = await makeFolder({ "ca.pem": authority.cert });
  using server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: cert + authority.cert, key },
    fetch: () => new Response("Hello from the other side.\n"),
  });
  await using proxy = await startProxy(
    {
      users: [{ name: "ci", password: "secret" }],
      rules: [{ name: "tour", to: [`*.example`, HOST], allowPrivate: true }],
    },
    { resolver: createFakeResolver({ [HOST]: ["127.0.0.1"] }) },
  );
  const url = `https://${HOST}:${server.port}/`;
  const trace = async (...args: string[]) => {
    const io = createFakeIo({ folder: folder.path });
    await runCli(["trace", url, "--proxy", `http://ci:secret@127.0.0.1:${proxy.port}`, ...args], io);
    return io.printed().trimEnd();
  };
  return describeTour({
    text13: await trace("--ca=ca.pem", "--tls=1.3"),
    mermaid13: await trace("--ca=ca.pem", "--tls=1.3", "--format=mermaid"),
    text12: await trace("--ca=ca.pem", "--tls=1.2"),
    mermaid12: await trace("--ca=ca.pem", "--tls=1.2", "--format=mermaid"),
    untrusted: (await trace()).replace(/^.*(?=\nfailed)/s, "").trimStart(),
  });
}

interface TourTraces {
  readonly text13: string;
  readonly mermaid13: string;
  readonly text12: string;
  readonly mermaid12: string;
  /** The end of a trace that failed. */
  readonly untrusted: string;
}

function describeTour({ text13, mermaid13, text12, mermaid12, untrusted }: TourTraces): string {
  return `# The TLS handshake

<!-- Written by test/support/write-handshake-tour.ts. Do not edit: run it. -->

This page shows the messages between a client that requests \`https://${HOST}/\` through a proxy and the first byte of the response. It uses two real connections, TLS 1.3 and TLS 1.2, recorded by \`penstock trace\`. To trace a connection of your own:

\`\`\`sh
penstock trace https://example.org/                                   # directly
penstock trace https://example.org/ --proxy http://user@proxy:3128    # asks for the password
penstock trace https://example.org/ --proxy socks5h://127.0.0.1:1080 --tls 1.2
\`\`\`

The scheme of the proxy is \`http\`, \`https\`, \`socks5\`, \`socks5h\` or \`socks4a\`. \`--ca FILE\` trusts other roots. \`--insecure\` continues with an untrusted certificate. \`--format\` is \`text\`, \`mermaid\`, \`json\` or \`pcapng\`. \`-o FILE\` writes to a file. The exit code is 0 when the response was read, 1 when a step failed, 2 for a wrong command line.

Times are milliseconds since the start. Sizes are those of the messages. Messages in braces are encrypted on the wire. \`trace\` is one end of the connection, so it has the keys and can show them.

## TLS 1.3

\`\`\`text
${text13}
\`\`\`

From top to bottom:

- **TCP and CONNECT.** The client connects to the proxy and asks it for a tunnel (RFC 9110 §9.3.6). After its 200 the proxy only relays bytes.
- **ClientHello.** What the client supports, unencrypted: versions, cipher suites, groups. It has the name of the server (SNI), because one address can serve many names, and the client's half of a key exchange (\`key shares\`) for the groups that it expects the server to accept. When the server needs another group, it answers with a HelloRetryRequest, and the client sends a second ClientHello.
- **ServerHello.** The server's choice: one suite, one group, and its half of the key exchange. Now both sides have keys, and everything that follows is encrypted, including the rest of the handshake.
- **ChangeCipherSpec** has no meaning in TLS 1.3. It makes the connection look like TLS 1.2 to old middleboxes (RFC 8446 appendix D.4).
- **{EncryptedExtensions}, {Certificate}, {CertificateVerify}, {Finished}.** The server's certificate, the proof that it has the private key, and a MAC over all messages so far, which detects a changed handshake.
- **{Finished}** of the client, followed by the request. TLS takes one round trip, after the one for the tunnel.
- **{NewSessionTicket}.** With a ticket the client can resume the session on its next connection, without certificates.

Another such connection as a diagram:

\`\`\`mermaid
${mermaid13}
\`\`\`

## TLS 1.2

\`\`\`text
${text12}
\`\`\`

Differences:

- **Certificate, ServerKeyExchange, ServerHelloDone** are unencrypted: anybody on the path can read the certificates of the server. In TLS 1.3 only the name in the ClientHello is visible.
- The keys are exchanged after the hellos (**ServerKeyExchange**, **ClientKeyExchange**), which costs a second round trip before the request can be sent.
- **ChangeCipherSpec** announces that the next record is encrypted. That is **{Finished}**, with the same purpose as above.

\`\`\`mermaid
${mermaid12}
\`\`\`

## What the proxy sees

The proxy does not decrypt tunnels, and it has no keys. Of a TLS connection it can read what is unencrypted above: the ClientHello with the name, the ServerHello, in TLS 1.2 the certificates, and the number and times of bytes. Only the two ends can read the messages in braces.

## Certificates

Below the Certificate message \`trace\` describes each certificate: its names, its issuer (and whether the next certificate made the signature), its validity and its key. Then it says whether the certificate is for the requested name, and which root makes it trusted. Without \`--ca ca.pem\` the connection of this page ends before a request is sent:

\`\`\`text
${untrusted}
\`\`\`

## In Wireshark

\`\`\`sh
penstock trace https://example.org/ --format pcapng -o trace.pcapng
wireshark trace.pcapng
\`\`\`

The file contains the bytes of the connection as packets, and its keys in a Decryption Secrets Block. Wireshark shows the messages in braces and the HTTP inside without any setting. **Whoever has the file can read the connection, and the password for the proxy if there was one: treat it like a password.**

- The display filter \`tls.handshake\` shows the handshake, \`http\` the request and the response.
- *Follow › TLS Stream* shows the decrypted page.
- On ports other than 443 tell Wireshark the protocol: *Decode As… › TLS*, or \`tshark -r trace.pcapng -d tcp.port==8443,tls -Y http\`.
- Through SOCKS or a TLS proxy the file has a second interface, \`tunnel\`, with the content of the tunnel as if there were no proxy. \`frame.interface_name == "tunnel"\` selects it.

To see connections of other clients, capture the tunnels of the running proxy. Encrypted bytes stay encrypted, because the proxy has no keys. A capture needs the [sidecar](configuration.md) and its token:

\`\`\`sh
export PENSTOCK_SIDECAR_TOKEN=…
penstock capture --host '*.example.org' -o tunnels.pcapng             # until Ctrl-C
penstock capture --user ci --legs both -o - | wireshark -k -i -       # live
curl -H "Authorization: Bearer $PENSTOCK_SIDECAR_TOKEN" 'http://127.0.0.1:9080/capture?id=abc123-4' -o one.pcapng
\`\`\`

\`--legs\` selects the connection with the client, the one with the target, or both. \`--snaplen\` limits the bytes kept of each packet. TCP packets are synthesised from the bytes of the tunnel, with the real addresses and times, so a packet can be larger than on any network. When the reader is too slow, packets are dropped and counted in the statistics at the end of the file; the tunnel never waits. A capture brings a tunnel back from the kernel, unless one side has already ended it, and a captured tunnel does not move there.

Wireshark can decrypt tunnels of programs that write a key log (\`SSLKEYLOGFILE\` of curl, Firefox, Chromium): *Preferences › Protocols › TLS › (Pre)-Master-Secret log filename*, or \`tshark -o tls.keylog_file:keys.log\`.
`;
}

if (import.meta.main) await Bun.write(TOUR_FILE, await writeHandshakeTour());
