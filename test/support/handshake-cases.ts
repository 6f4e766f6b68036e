/** A handshake that `record-handshakes.ts` records. */
export interface HandshakeCase {
  name: string;
  /** Arguments of `openssl s_server`, or "bun" for Bun's own server. */
  server: string;
  /** A command line; PORT is replaced, `s_client` is short for openssl's. */
  client: string;
  /** The same connection made first, to have a session to resume. */
  before?: string;
  input?: string;
  /** A command that tells the client's version, where that shapes the hello. */
  version?: string;
  keylog?: boolean;
}

const RSA = "-cert rsa.pem -key rsa.key -cert_chain chain.pem";
const ECDSA = "-cert ecdsa.pem -key ecdsa.key -cert_chain chain.pem";
const OLD = "-cipher ALL:@SECLEVEL=0";
const GET = "GET / HTTP/1.0\r\n\r\n";
const SNI = "-servername server.example";

export const handshakeCases: readonly HandshakeCase[] = [
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
  { name: "go", server: `${RSA} -www`, client: `go run client.go PORT`, version: "go version" },
  { name: "go-tls12", server: `${ECDSA} -tls1_2 -www`, client: `go run client.go PORT`, version: "go version" },
  {
    name: "go-hello-retry",
    server: `${ECDSA} -tls1_3 -groups P-384 -www`,
    client: `go run client.go PORT`,
    version: "go version",
  },
  { name: "chromium", server: `${RSA} -www`, client: `sh chromium.sh PORT`, version: "chromium --version" },
  {
    name: "chromium-tls12",
    server: `${ECDSA} -tls1_2 -www`,
    client: `sh chromium.sh PORT`,
    version: "chromium --version",
  },
  { name: "java", server: `${RSA} -www`, client: `java Client.java PORT` },
];
