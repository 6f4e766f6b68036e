import { describe, expect, test } from "bun:test";
import { readCertificateExpiry } from "../../../../../src/protocol/tls/read/certificate-expiry.ts";
import { explainChain } from "../../../../../src/protocol/tls/explain/explain-chain.ts";
import { ascii, concat, u8 } from "../../../../support/build-client-hello.ts";
import { listMessages, listTlsFixtures, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

const certificates = listTlsFixtures().flatMap((name) =>
  listMessages(watchAll("server", loadTlsFixture(name).server), "certificate").flatMap(({ chain }) => chain),
);

/** A value of DER with a length of one byte or two. */
function der(tag: number, ...parts: Uint8Array[]): Uint8Array {
  const content = concat(...parts);
  return content.length < 0x80
    ? concat(u8(tag, content.length), content)
    : concat(u8(tag, 0x82, content.length >> 8, content.length & 0xff), content);
}

/** As much of a certificate as is read: `times` are tag and text. */
function certificateWith(...times: readonly (readonly [number, string])[]): Uint8Array {
  const validity = der(0x30, ...times.map(([tag, text]) => der(tag, ascii(text))));
  return der(0x30, der(0x30, der(0xa0, der(2, u8(2))), der(2, u8(1)), der(0x30), der(0x30), validity, der(0x30)));
}

describe("readCertificateExpiry()", () => {
  test("says what the platform says of every certificate that was recorded", () => {
    expect(certificates.length).toBeGreaterThan(10);
    for (const certificate of certificates) {
      const [explained] = explainChain([certificate]);
      expect(explained?.readable).toBe(true);
      expect(readCertificateExpiry(certificate)).toBe(explained?.readable === true ? explained.validTo : undefined);
    }
  });

  test("reads both forms of time", () => {
    const from = [0x17, "200101000000Z"] as const;
    expect(readCertificateExpiry(certificateWith(from, [0x17, "491231235959Z"]))).toBe(
      Date.UTC(2049, 11, 31, 23, 59, 59),
    );
    expect(readCertificateExpiry(certificateWith(from, [0x17, "500101000000Z"]))).toBe(Date.UTC(1950, 0, 1));
    expect(readCertificateExpiry(certificateWith(from, [0x18, "20500101000001Z"]))).toBe(Date.UTC(2050, 0, 1, 0, 0, 1));
    expect(readCertificateExpiry(certificateWith(from, [0x18, "99991231235959Z"]))).toBe(
      Date.UTC(9999, 11, 31, 23, 59, 59),
    );
  });

  test("looks at nothing before where it begins, nor from the end on", () => {
    const [certificate = u8()] = certificates;
    const expiry = readCertificateExpiry(certificate);
    const inside = concat(u8(1, 2, 3), certificate);
    expect(readCertificateExpiry(inside, 3)).toBe(expiry ?? NaN);
    // Wherever it ends, what comes behind makes no difference.
    for (let end = 0; end <= 400; end += 1)
      expect(readCertificateExpiry(inside, 3, 3 + end)).toBe(
        readCertificateExpiry(certificate.slice(0, end)) as number,
      );
  });

  test("gives nothing where there is none", () => {
    const from = [0x17, "200101000000Z"] as const;
    expect(readCertificateExpiry(u8())).toBeUndefined();
    expect(readCertificateExpiry(ascii("-----BEGIN CERTIFICATE-----"))).toBeUndefined();
    expect(readCertificateExpiry(certificateWith(from))).toBeUndefined();
    expect(readCertificateExpiry(certificateWith(from, [0x17, "2001010000Z"]))).toBeUndefined();
    expect(readCertificateExpiry(certificateWith(from, [0x18, "20500101000000+0100"]))).toBeUndefined();
    expect(readCertificateExpiry(certificateWith(from, [0x04, "200101000000Z"]))).toBeUndefined();
    const [certificate = u8()] = certificates;
    for (let length = 0; length < 100; length += 1)
      expect(readCertificateExpiry(certificate.subarray(0, length))).toBeUndefined();
  });
});
