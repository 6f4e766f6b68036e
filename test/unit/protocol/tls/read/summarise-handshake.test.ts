import { describe, expect, test } from "bun:test";
import { nameCipherSuite, nameVersion } from "../../../../../src/protocol/tls/read/iana.ts";
import { summariseHandshake } from "../../../../../src/protocol/tls/read/summarise-handshake.ts";
import { listMessages, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

describe("summariseHandshake()", () => {
  test.each([
    ["openssl-tls13", "TLS 1.3", "TLS_AES_256_GCM_SHA384", undefined, 29, false],
    ["openssl-tls13-early-data", "TLS 1.3", "TLS_AES_256_GCM_SHA384", undefined, 29, true],
    ["openssl-tls13-hello-retry", "TLS 1.3", "TLS_AES_256_GCM_SHA384", undefined, 24, false],
    ["openssl-tls12-ecdhe-rsa", "TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "h2", undefined, false],
    ["openssl-tls12-ticket", "TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", undefined, undefined, true],
    ["openssl-tls12-session-id", "TLS 1.2", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", undefined, undefined, true],
    ["openssl-tls10", "TLS 1.0", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", undefined, undefined, false],
  ])("puts the hellos of %s together", (name, version, cipherSuite, alpn, group, resumed) => {
    const fixture = loadTlsFixture(name);
    const client = listMessages(watchAll("client", fixture.client), "client_hello").at(-1);
    const server = listMessages(watchAll("server", fixture.server), "server_hello").at(-1);
    if (client === undefined || server === undefined) throw new Error("Both hellos were recorded");
    const summary = summariseHandshake(client, server);
    expect({
      ...summary,
      version: nameVersion(summary.version),
      cipherSuite: nameCipherSuite(summary.cipherSuite),
    }).toEqual({
      version,
      cipherSuite,
      alpn,
      group,
      resumed,
    });
  });

  test("calls no HelloRetryRequest a resumption", () => {
    const fixture = loadTlsFixture("openssl-tls13-hello-retry");
    const [client] = listMessages(watchAll("client", fixture.client), "client_hello");
    const [server] = listMessages(watchAll("server", fixture.server), "server_hello");
    if (client === undefined || server === undefined) throw new Error("Both hellos were recorded");
    expect(summariseHandshake(client, server).resumed).toBe(false);
  });
});
