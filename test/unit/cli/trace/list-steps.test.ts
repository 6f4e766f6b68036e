import { describe, expect, test } from "bun:test";
import { listSteps } from "../../../../src/cli/trace/list-steps.ts";
import { listProxySteps } from "../../../../src/cli/trace/list-proxy-steps.ts";
import { Recording } from "../../../../src/cli/trace/recording.ts";
import type { TraceStep } from "../../../../src/cli/trace/trace-step.ts";
import { makeTrace } from "../../../support/make-trace.ts";

const basis = { roots: [], source: "the test", now: 0 };

function brief({ from, to, name, sealed }: TraceStep): string {
  return `${from} > ${to} ${sealed ? `{${name}}` : name}`;
}

describe("listSteps()", () => {
  test("tells a connection through a proxy from TCP to the end", () => {
    const { steps, tls, notes } = listSteps(makeTrace(), basis);
    expect(steps.map(brief)).toEqual([
      "client > proxy TCP connect to 192.0.2.1:3128",
      "proxy > client TCP connected",
      "client > proxy CONNECT server.example:443 HTTP/1.1",
      "proxy > client HTTP/1.1 200 Connection Established",
      "client > server ClientHello",
      "server > client ServerHello",
      "server > client ChangeCipherSpec",
      "server > client {EncryptedExtensions}",
      "server > client {Certificate}",
      "server > client {CertificateVerify}",
      "server > client {Finished}",
      "client > server ChangeCipherSpec",
      "client > server {Finished}",
      "client > server {GET / HTTP/1.1}",
      "server > client {NewSessionTicket}",
      "server > client {NewSessionTicket}",
      "server > client {HTTP/1.0 200 ok}",
      "server > client {Alert close_notify}",
      "client > server {Alert close_notify}",
      "proxy > client TCP end (FIN)",
    ]);
    expect(tls).toMatchObject({ version: "TLS 1.3", cipherSuite: "TLS_AES_256_GCM_SHA384", group: "x25519" });
    expect(notes).toEqual([]);
  });

  test("shows no credentials", () => {
    const { steps } = listSteps(makeTrace(), basis);
    const connect = steps.find(({ name }) => name.startsWith("CONNECT"));
    expect(connect?.fields).toContainEqual({ label: "Proxy-Authorization", value: "Basic [redacted]" });
    expect(JSON.stringify(steps)).not.toContain("c2VjcmV0");
  });

  test("explains the certificates of the server where they are", () => {
    const { steps } = listSteps(makeTrace(), basis);
    const labels = steps.find(({ name }) => name === "Certificate")?.fields.map(({ label }) => label);
    expect(labels).toEqual(expect.arrayContaining(["server signed by", "issuer", "root", "name", "trust"]));
  });

  test("says why messages have no names without the secrets", () => {
    const trace = makeTrace();
    const { notes, steps } = listSteps({ ...trace, tls: trace.tls && { ...trace.tls, secrets: [] } }, basis);
    expect(notes).toEqual(["TLS to the server: The secrets of the connection are not known (TLS_AES_256_GCM_SHA384)."]);
    // What we said and heard ourselves is known all the same.
    expect(steps.map(brief)).toContain("client > server {GET / HTTP/1.1}");
  });

  test("tells what was seen until it failed", () => {
    const failed = makeTrace("openssl-tls13", {
      wire: undefined,
      tls: undefined,
      http: undefined,
      tunnelAt: undefined,
      attempts: [
        { at: 1, address: "[2001:db8::1]:3128", endedAt: undefined, code: undefined },
        { at: 2, address: "192.0.2.1:3128", endedAt: 3, code: "ECONNREFUSED" },
      ],
      lookups: [{ at: 0, name: "proxy.example", family: 4, answeredAt: 0.5, answer: "ENOTFOUND" }],
    });
    expect(listSteps(failed, basis).steps.map(brief)).toEqual([
      "client > dns A proxy.example?",
      "dns > client A proxy.example = ENOTFOUND",
      "client > proxy TCP connect to [2001:db8::1]:3128",
      "client > proxy TCP connect to 192.0.2.1:3128",
      "proxy > client TCP failed: ECONNREFUSED",
    ]);
  });

  test("names the alert of a server that refuses", () => {
    const trace = makeTrace("openssl-protocol-version", { http: undefined });
    expect(listSteps(trace, basis).steps.map(brief)).toContain("server > client Alert protocol_version");
  });
});

describe("listProxySteps()", () => {
  function converse(kind: "socks5h" | "socks4a" | "http", parts: readonly (readonly ["client" | "server", string])[]) {
    const recording = new Recording();
    parts.forEach(([from, hex], at) => recording.add(at, from, Uint8Array.fromHex(hex.replaceAll(" ", ""))));
    return listProxySteps(kind, recording)
      .toSorted((a, b) => a.at - b.at)
      .map(({ from, name, fields }) => [from, name, ...fields.map(({ label, value }) => `${label}: ${value}`)]);
  }
  const hex = (text: string) => Buffer.from(text, "latin1").toString("hex");

  test("reads SOCKS5 with a password, and does not tell it", () => {
    const steps = converse("socks5h", [
      ["client", "05 02 00 02"],
      ["server", "05 02"],
      ["client", `01 02 ${hex("ci")} 06 ${hex("secret")}`],
      ["server", "01 00"],
      ["client", `05 01 00 03 0b ${hex("example.org")} 01bb`],
      ["server", "05 00 00 01 00000000 0000"],
    ]);
    expect(steps).toEqual([
      ["client", "SOCKS5 greeting", "methods: no authentication,user and password"],
      ["proxy", "SOCKS5 method: password"],
      ["client", "SOCKS5 user and password", "user: ci", "password: [redacted]"],
      ["proxy", "SOCKS5 password: accepted"],
      ["client", "SOCKS5 CONNECT example.org:443"],
      ["proxy", "SOCKS5: succeeded"],
    ]);
  });

  test("reads SOCKS5 that ends early", () => {
    expect(
      converse("socks5h", [
        ["client", "05 01 00"],
        ["server", "05 ff"],
      ]),
    ).toEqual([
      ["client", "SOCKS5 greeting", "methods: no authentication"],
      ["proxy", "SOCKS5 method: none acceptable"],
    ]);
  });

  test("reads SOCKS4a", () => {
    expect(
      converse("socks4a", [
        ["client", `04 01 01bb 00000001 00 ${hex("example.org")} 00`],
        ["server", "00 5b 0000 00000000"],
      ]),
    ).toEqual([
      ["client", "SOCKS4 CONNECT example.org:443"],
      ["proxy", "SOCKS4: rejected"],
    ]);
  });

  test("reads a challenge with its page, and the answer to it on the same connection", () => {
    const connect = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n";
    const steps = converse("http", [
      ["client", hex(`${connect}\r\n`)],
      ["server", hex("HTTP/1.1 407 Who\r\nContent-Length: 4\r\n\r\nwho?")],
      ["client", hex(`${connect}Proxy-Authorization: Digest username="ci"\r\n\r\n`)],
      ["server", hex("HTTP/1.1 407 Who\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n?\r\n0\r\n\r\n")],
      ["server", hex("HTTP/1.1 200 OK\r\n\r\n")],
    ]);
    expect(steps.map(([from, name, ...fields]) => [from, name, fields.at(-1)])).toEqual([
      ["client", "CONNECT a:1 HTTP/1.1", "Host: a:1"],
      ["proxy", "HTTP/1.1 407 Who", "Content-Length: 4"],
      ["client", "CONNECT a:1 HTTP/1.1", "Proxy-Authorization: Digest [redacted]"],
      ["proxy", "HTTP/1.1 407 Who", "Transfer-Encoding: chunked"],
      ["proxy", "HTTP/1.1 200 OK", undefined],
    ]);
  });

  test("reads interim responses, and stops at what is no answer", () => {
    expect(
      converse("http", [
        ["client", hex("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")],
        ["server", hex("HTTP/1.1 102 Processing\r\n\r\n")],
        ["server", hex("HTTP/1.1 403 Forbidden\r\nX: y\r\n\r\nbody")],
      ]),
    ).toEqual([
      ["client", "CONNECT a:1 HTTP/1.1", "Host: a:1"],
      ["proxy", "HTTP/1.1 102 Processing"],
      ["proxy", "HTTP/1.1 403 Forbidden", "X: y"],
    ]);
  });
});
