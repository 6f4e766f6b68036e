import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../../../../src/protocol/tls/read/client-hello.ts";
import { describeMessage } from "../../../../../src/protocol/tls/explain/describe-message.ts";
import { alpn, buildClientHello, u16, u8, vector } from "../../../../support/build-client-hello.ts";
import { listTlsFixtures, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

function describeAll(side: "client" | "server", name: string) {
  const { [side]: bytes } = loadTlsFixture(name);
  return watchAll(side, bytes).flatMap((event) => (event.kind === "handshake" ? [describeMessage(event.message)] : []));
}

describe("describeMessage()", () => {
  test("names the messages of TLS 1.2 and what they say", () => {
    const described = describeAll("server", "openssl-tls12-client-certificate");
    const fields = (name: string) => described.find((each) => each.name === name)?.fields;
    expect(fields("ServerHello")).toContainEqual({
      label: "cipher suite",
      value: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    });
    expect(fields("Certificate")).toContainEqual({ label: "certificates", value: "3" });
    expect(fields("ServerKeyExchange")).toEqual([
      { label: "group", value: "x25519" },
      { label: "public key", value: "32 bytes" },
      { label: "signature algorithm", value: "rsa_pss_rsae_sha256" },
    ]);
    expect(fields("CertificateRequest")).toContainEqual({
      label: "certificate types",
      value: ["rsa_sign", "dss_sign", "ecdsa_sign"],
    });
    expect(fields("ServerHelloDone")).toEqual([{ label: "body", value: "0 bytes" }]);
    expect(fields("NewSessionTicket")).toContainEqual({ label: "lifetime", value: "7200 s" });
  });

  test("tells a HelloRetryRequest from a ServerHello", () => {
    const described = describeAll("server", "openssl-tls13-hello-retry");
    expect(described.map(({ name }) => name)).toEqual(["HelloRetryRequest", "ServerHello"]);
    expect(described[0]?.fields).toContainEqual({ label: "group", value: "secp384r1" });
    expect(described[1]?.fields).toContainEqual({ label: "key share", value: "secp384r1 (97 bytes)" });
  });

  test("leaves out what the message does not have", () => {
    const parsed = parseClientHello(new ByteReader(buildClientHello({ extensions: undefined })));
    if (parsed.kind === "bad") throw new Error(parsed.code);
    expect(describeMessage(parsed.value).fields.map(({ label }) => label)).toEqual([
      "legacy version",
      "random",
      "cipher suites",
      "compression methods",
    ]);
  });

  test("escapes what a peer chose freely", () => {
    const parsed = parseClientHello(
      new ByteReader(
        buildClientHello({ extensions: [alpn(u8(0x1b, 0x5b, 0x32, 0x4a)), [10, vector(2, u16(0x1a1a))]] }),
      ),
    );
    if (parsed.kind === "bad") throw new Error(parsed.code);
    expect(describeMessage(parsed.value).fields).toContainEqual({ label: "alpn", value: ["\\x1b[2J"] });
    expect(describeMessage(parsed.value).fields).toContainEqual({ label: "groups", value: ["GREASE (0x1a1a)"] });
  });

  test("says all of every recorded message in printable ASCII", () => {
    const described = listTlsFixtures().flatMap((name) => [
      ...describeAll("client", name),
      ...describeAll("server", name),
    ]);
    expect(described.length).toBeGreaterThan(100);
    for (const { name, fields } of described) {
      expect(name).toMatch(/^[A-Z][A-Za-z]+$/);
      expect(JSON.stringify(fields)).toMatch(/^[ -~]*$/);
    }
  });
});
