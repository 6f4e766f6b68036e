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
  return `# A tour of the handshake

<!-- Written by test/support/write-handshake-tour.ts. Do not edit: run it. -->

What happens between the moment that a program wants \`https://${HOST}/\` through a proxy, and the first byte of the page? This page shows it on two real connections, one of TLS 1.3 and one of TLS 1.2, as \`penstock trace\` saw them. To look at a connection of your own:

\`\`\`sh
penstock trace https://example.org/                                   # directly
penstock trace https://example.org/ --proxy http://user@proxy:3128    # asks for the password
penstock trace https://example.org/ --proxy socks5h://127.0.0.1:1080 --tls 1.2
\`\`\`

The proxy may be any of \`http\`, \`https\`, \`socks5\`, \`socks5h\` and \`socks4a\`. \`--ca FILE\` trusts other roots, \`--insecure\` goes on with a certificate that cannot be trusted, \`--format\` writes \`text\`, \`mermaid\`, \`json\` or \`pcapng\`, and \`-o FILE\` writes it to a file. The exit code is 0 when the response was read, 1 when something on the way failed, 2 when the command makes no sense.

Times are milliseconds since the beginning; sizes are those of the messages. Names in braces were encrypted on the wire: the tool is one end of the connection, so it has the keys and shows what nobody on the way can see.

## TLS 1.3

\`\`\`text
${text13}
\`\`\`

Reading down:

- **TCP and CONNECT.** The client connects to the proxy and asks it for a tunnel (RFC 9110 §9.3.6). This is the last that the proxy reads and answers: after the 200 it only carries bytes.
- **ClientHello.** What the client can do, in clear: versions, cipher suites, groups, and the name of the server (SNI), because one address may serve many names. It already holds the client's half of a key exchange (\`key shares\`), a guess at what the server will like. If the guess is wrong the server says so in a HelloRetryRequest, and the client tries again.
- **ServerHello.** The choice: one suite, one group, and the server's half of the key exchange. From here on both sides have keys, and everything is encrypted; the rest of the handshake too.
- **ChangeCipherSpec** means nothing in TLS 1.3. It is there so that old boxes on the way believe that they see TLS 1.2 (RFC 8446 appendix D.4).
- **{EncryptedExtensions}, {Certificate}, {CertificateVerify}, {Finished}.** Who the server is, its proof that it has the key of the certificate, and a code over everything said so far: whoever changed a byte of the handshake is found out here.
- **{Finished}** of the client, and right behind it the request. That is one round trip for TLS after the one for the tunnel.
- **{NewSessionTicket}.** With a ticket the next connection can be resumed, without certificates.

Another connection of the same kind, as a diagram:

\`\`\`mermaid
${mermaid13}
\`\`\`

## TLS 1.2

\`\`\`text
${text12}
\`\`\`

What is different:

- **Certificate, ServerKeyExchange, ServerHelloDone** are in clear: anybody on the way can read which certificates the server has. In TLS 1.3 only the name in the ClientHello is left to be seen.
- The keys are exchanged after the hellos (**ServerKeyExchange**, **ClientKeyExchange**), which costs a second round trip before the request can be sent.
- **ChangeCipherSpec** has its meaning: the next record is encrypted. That is **{Finished}**, with the same purpose as above.

\`\`\`mermaid
${mermaid12}
\`\`\`

## What the proxy sees

A tunnel is not opened on its way. Of a TLS connection through it the proxy can read what is in clear above: the ClientHello with the name, the ServerHello, of TLS 1.2 the certificates, and how many bytes go when. It has no keys and needs none. What \`trace\` shows in braces is seen by the two ends only.

## Certificates

Under the Certificate message each certificate is explained: whom it is for, who signed it (and whether the signature really is of the next one), how long it is valid, its key. Then what to make of it: whether it is for the name that was asked for, and which root makes it trusted. Without \`--ca ca.pem\` the connection of this page ends like this, before anything is sent:

\`\`\`text
${untrusted}
\`\`\`

## In Wireshark

\`\`\`sh
penstock trace https://example.org/ --format pcapng -o trace.pcapng
wireshark trace.pcapng
\`\`\`

The file holds the bytes of the connection as packets, and its keys in a Decryption Secrets Block, so that Wireshark shows the messages in braces and the HTTP inside without any setting. **Whoever has the file can read the connection, and the proxy's password if there was one: treat it like a password.**

- The display filter \`tls.handshake\` shows the handshake, \`http\` the request and the response.
- *Follow › TLS Stream* shows the page in clear.
- On another port than 443, tell Wireshark what it is: *Decode As… › TLS*, or \`tshark -r trace.pcapng -d tcp.port==8443,tls -Y http\`.
- Through SOCKS or a proxy that itself speaks TLS there is a second interface, \`tunnel\`, with the inside of the tunnel as if there were no proxy. \`frame.interface_name == "tunnel"\` shows it alone.

To look at connections of others, as the proxy carries them (it has no keys: what is encrypted stays so), capture them live. This needs the [sidecar](configuration.md) and its token:

\`\`\`sh
export PENSTOCK_SIDECAR_TOKEN=…
penstock capture --host '*.example.org' -o tunnels.pcapng             # until Ctrl-C
penstock capture --user ci --legs both -o - | wireshark -k -i -       # as it happens
curl -H "Authorization: Bearer $PENSTOCK_SIDECAR_TOKEN" 'http://127.0.0.1:9080/capture?id=abc123-4' -o one.pcapng
\`\`\`

\`--legs\` chooses between the connection with the client, the one with the target, or both, \`--snaplen\` keeps only the beginning of each packet. TCP packets are made up from the bytes that passed, with the true addresses and times; a packet may be larger than any network would carry. When the reader is too slow packets are dropped, counted in the statistics at the end of the file, and leave a gap: the tunnel never waits. A tunnel that moved to the kernel before the capture began is not captured, and one that is captured does not move there.

Programs that write their own key log (\`SSLKEYLOGFILE\` of curl, Firefox, Chromium) can have their tunnels decrypted: *Preferences › Protocols › TLS › (Pre)-Master-Secret log filename*, or \`tshark -o tls.keylog_file:keys.log\`.
`;
}

if (import.meta.main) await Bun.write(TOUR_FILE, await writeHandshakeTour());
