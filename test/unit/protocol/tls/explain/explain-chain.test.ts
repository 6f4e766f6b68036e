import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { explainChain } from "../../../../../src/protocol/tls/explain/explain-chain.ts";
import { listMessages, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

function chainOf(name: string): readonly Uint8Array[] {
  const [message] = listMessages(watchAll("server", loadTlsFixture(name).server), "certificate");
  return message?.chain ?? [];
}

describe("explainChain()", () => {
  test("tells who is who, and that each is signed by the next", () => {
    expect(explainChain(chainOf("openssl-tls12-ecdhe-rsa"))).toMatchObject([
      {
        readable: true,
        subject: "CN=server.example",
        issuer: "O=Example, CN=Intermediate",
        names: [
          { kind: "DNS", value: "server.example" },
          { kind: "DNS", value: "*.server.example" },
          { kind: "IP Address", value: "127.0.0.1" },
          { kind: "IP Address", value: "0:0:0:0:0:0:0:1" },
        ],
        key: { algorithm: "rsa", bits: 2048, curve: undefined },
        authority: false,
        selfSigned: false,
        signedByNext: true,
      },
      {
        subject: "O=Example, CN=Intermediate",
        issuer: "O=Example, CN=Root",
        names: [],
        key: { algorithm: "ec", curve: "secp384r1" },
        authority: true,
        selfSigned: false,
        signedByNext: true,
      },
      { subject: "O=Example, CN=Root", selfSigned: true, signedByNext: undefined },
    ]);
  });

  test("gives times in milliseconds, the serial, and the fingerprint", () => {
    const [leaf] = explainChain(chainOf("openssl-tls12-ecdhe-ecdsa"));
    if (!leaf?.readable) throw new Error("The recorded certificate is readable");
    expect(leaf.validTo - leaf.validFrom).toBe(36_500 * 86_400_000);
    expect(leaf.serial).toMatch(/^[0-9A-F]{2,40}$/);
    expect(leaf.fingerprint).toMatch(/^[0-9a-f]{64}$/);
    expect(leaf.key).toEqual({ algorithm: "ec", bits: undefined, curve: "prime256v1" });
  });

  test("sees a chain in the wrong order, and one with a certificate missing", () => {
    const [leaf = none, middle = none, root = none] = chainOf("openssl-tls12-ecdhe-rsa");
    const signed = (chain: Uint8Array[]) => explainChain(chain).map((each) => each.readable && each.signedByNext);
    expect(signed([leaf, root, middle])).toEqual([false, false, undefined]);
    expect(signed([leaf, root])).toEqual([false, undefined]);
  });

  test("is not misled by a changed signature", () => {
    const [leaf = none, middle = none] = chainOf("openssl-tls12-ecdhe-rsa");
    const forged = leaf.slice();
    forged[forged.length - 1] = (forged[forged.length - 1] ?? 0) ^ 1;
    expect(explainChain([forged, middle])[0]).toMatchObject({ readable: true, signedByNext: false });
  });

  test("takes no part of a name for another name", () => {
    // Made with openssl: a name and a subject with a comma and another name in them.
    const der = readFileSync(join(import.meta.dir, "../../../../fixtures/tls/misleading-names.der"));
    expect(explainChain([der])).toMatchObject([
      {
        subject: "CN=a/b, O=x\\, CN=spoof",
        names: [
          { kind: "DNS", value: "evil.example, DNS:good.example" },
          { kind: "DNS", value: "plain.example" },
          { kind: "URI", value: "https://a.example/x,y" },
          { kind: "othername", value: "<unsupported>" },
          { kind: "IP Address", value: "10.0.0.1" },
        ],
      },
    ]);
  });

  test("goes on after what is no certificate", () => {
    const [leaf = none] = chainOf("openssl-tls12-ecdhe-rsa");
    expect(explainChain([leaf, new Uint8Array(5), leaf])).toMatchObject([
      { readable: true, signedByNext: false },
      { readable: false, length: 5 },
      { readable: true },
    ]);
    expect(explainChain([])).toEqual([]);
  });

  test("explains no more than sixteen", () => {
    expect(explainChain(Array.from({ length: 40 }, () => none))).toHaveLength(16);
  });
});

const none = new Uint8Array(0);
