import { X509Certificate } from "node:crypto";

const BLOCK = /-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----.*?-----END (?:X509 |TRUSTED )?CERTIFICATE-----/gs;

/** All certificates of a PEM text, such as a file of several authorities; undefined when there is none, or one that cannot be read. */
export function readPemCertificates(pem: string): X509Certificate[] | undefined {
  try {
    const certificates = (pem.match(BLOCK) ?? []).map((block) => new X509Certificate(block));
    return certificates.length === 0 ? undefined : certificates;
  } catch {
    return undefined;
  }
}
