import { describe, expect, test } from "bun:test";
import type { PeerCertificate } from "node:tls";
import { readClientIdentity } from "../../../src/net/client-identity.ts";

/** As Bun gives a certificate; the text of the names is OpenSSL's, with Node's quotes. */
function certificate(subjectaltname: string | undefined, subject: object = {}): PeerCertificate {
  return { subjectaltname, subject } as unknown as PeerCertificate;
}

describe("readClientIdentity()", () => {
  test("takes an e-mail address before a DNS name, and that before a URI", () => {
    const all = "URI:spiffe://corp/alice, DNS:alice.corp, email:alice@corp.example, email:other@corp.example";
    expect(readClientIdentity(certificate(all, { CN: "Alice" }))).toBe("alice@corp.example");
    expect(readClientIdentity(certificate("URI:spiffe://corp/alice, DNS:alice.corp"))).toBe("alice.corp");
    expect(readClientIdentity(certificate("IP Address:192.0.2.1, URI:spiffe://corp/alice"))).toBe(
      "spiffe://corp/alice",
    );
  });

  test("takes the common name when there is no such alternative name", () => {
    expect(readClientIdentity(certificate(undefined, { CN: "alice" }))).toBe("alice");
    expect(readClientIdentity(certificate("IP Address:192.0.2.1", { CN: "alice" }))).toBe("alice");
    expect(readClientIdentity(certificate("othername:<unsupported>", { CN: "bob, DNS:root" }))).toBe("bob, DNS:root");
  });

  test("never takes a part of a name for a name", () => {
    const quoted = 'URI:"http://a\\u002c email:root@corp", DNS:alice.corp';
    expect(readClientIdentity(certificate(quoted))).toBe("alice.corp");
    expect(readClientIdentity(certificate('DirName:"CN=x\\\\\\u002c email:root@corp", URI:a:b'))).toBe("a:b");
    expect(readClientIdentity(certificate('URI:"a \\", email:root@corp"', { CN: "alice" }))).toBe("alice");
  });

  test("names nobody when there is no name, an empty one, or several common names", () => {
    expect(readClientIdentity(certificate(undefined))).toBeUndefined();
    expect(readClientIdentity(certificate("DNS:", { CN: "" }))).toBeUndefined();
    expect(readClientIdentity(certificate(undefined, { CN: ["alice", "root"] }))).toBeUndefined();
    expect(readClientIdentity({} as PeerCertificate)).toBeUndefined();
  });
});
