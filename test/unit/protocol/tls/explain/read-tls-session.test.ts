import { describe, expect, test } from "bun:test";
import {
  readTlsSession,
  type SessionMessage,
  type TlsSession,
} from "../../../../../src/protocol/tls/explain/read-tls-session.ts";
import { listTlsFixtures, loadTlsFixture } from "../../../../support/tls-fixture.ts";

function read(name: string, keyLog?: string): TlsSession {
  const { client, server, keylog } = loadTlsFixture(name);
  return readTlsSession(client, server, keyLog ?? keylog ?? "");
}

/** The messages of one side, those that were encrypted in braces. */
function names({ messages }: TlsSession, from: SessionMessage["from"]): string[] {
  return messages
    .filter((message) => message.from === from)
    .map(({ name, encrypted }) => (encrypted ? `{${name}}` : name));
}

describe("readTlsSession()", () => {
  test("reads all of TLS 1.3 with its secrets", () => {
    const session = read("openssl-tls13-http");
    expect(session.sealed).toBeUndefined();
    expect(names(session, "client")).toEqual([
      "ClientHello",
      "ChangeCipherSpec",
      "{Finished}",
      "{Application data}",
      "{Alert close_notify}",
    ]);
    expect(names(session, "server")).toEqual([
      "ServerHello",
      "ChangeCipherSpec",
      "{EncryptedExtensions}",
      "{Certificate}",
      "{CertificateVerify}",
      "{Finished}",
      "{NewSessionTicket}",
      "{NewSessionTicket}",
      "{Application data}",
      "{Alert close_notify}",
    ]);
    expect(session.messages.find(({ name }) => name === "Certificate")?.chain).toHaveLength(3);
  });

  test("reads all of TLS 1.2 with its secrets", () => {
    const session = read("openssl-tls12-http");
    expect(session.sealed).toBeUndefined();
    expect(names(session, "client")).toEqual([
      "ClientHello",
      "ClientKeyExchange",
      "ChangeCipherSpec",
      "{Finished}",
      "{Application data}",
      "{Alert close_notify}",
    ]);
    expect(names(session, "server").slice(-4)).toEqual([
      "ChangeCipherSpec",
      "{Finished}",
      "{Application data}",
      "{Alert close_notify}",
    ]);
  });

  test("tells how long application data are without their encryption", () => {
    const sent = (name: string) =>
      read(name).messages.find(({ from, kind }) => from === "client" && kind === "application_data")?.length;
    expect(sent("openssl-tls13-http")).toBe("GET / HTTP/1.0\r\n\r\n".length);
    expect(sent("openssl-tls12-http")).toBe("GET / HTTP/1.0\r\n\r\n".length);
  });

  test("says why it cannot read what is encrypted", () => {
    expect(read("openssl-tls13").sealed).toBeUndefined();
    expect(read("openssl-tls13", "").sealed).toBe(
      "The secrets of the connection are not known (TLS_AES_256_GCM_SHA384)",
    );
    expect(read("openssl-tls10").sealed).toBe(
      "Only TLS 1.2 and 1.3 are decrypted (TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA)",
    );
    expect(read("openssl-tls12-rsa").sealed).toBe(
      "This tool does not decrypt the cipher suite (TLS_RSA_WITH_AES_128_CBC_SHA256)",
    );
    expect(read("openssl-no-shared-cipher").sealed).toBeUndefined();
  });

  test("leaves records closed that do not open with the secrets", () => {
    const { keylog = "" } = loadTlsFixture("openssl-tls13-http");
    const wrong = keylog.replace(/^(SERVER_TRAFFIC_SECRET_0 \S+ )../m, "$100");
    const session = read("openssl-tls13-http", wrong);
    expect(session.sealed).toBe("Some records do not open with the secrets at hand (TLS_AES_256_GCM_SHA384)");
    expect(names(session, "server").slice(-3)).toEqual([
      "{Application data}",
      "{Application data}",
      "{Application data}",
    ]);
    expect(names(session, "client")).toContain("{Alert close_notify}");
  });

  test("tells what is no TLS", () => {
    const { messages } = readTlsSession(Buffer.from("GET / HTTP/1.1\r\n\r\n"), new Uint8Array(0), "");
    expect(messages.map(({ name }) => name)).toEqual(["Bytes that are no TLS"]);
  });

  test.each(listTlsFixtures())("gives the messages of %s in the order of their bytes", (name) => {
    const { messages } = read(name);
    expect(messages.length).toBeGreaterThan(1);
    for (const from of ["client", "server"] as const) {
      const ends = messages.filter((message) => message.from === from).map(({ end }) => end);
      expect(ends).toEqual(ends.toSorted((a, b) => a - b));
    }
  });
});
