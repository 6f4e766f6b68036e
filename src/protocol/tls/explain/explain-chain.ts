import { X509Certificate } from "node:crypto";

export interface ExplainedCertificate {
  readonly readable: true;
  /** RFC 4514-like text, `CN=example.org, O=Example`, as the certificate orders it. */
  readonly subject: string;
  readonly issuer: string;
  /** Upper-case hexadecimal. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly validFrom: number;
  readonly validTo: number;
  readonly names: readonly AlternativeName[];
  readonly key: PublicKey;
  /** `sha256WithRSAEncryption`; undefined when the platform does not tell. */
  readonly signatureAlgorithm: string | undefined;
  /** Whether it may sign certificates. */
  readonly authority: boolean;
  /** SHA-256 of the DER, lower-case hexadecimal. */
  readonly fingerprint: string;
  /** Whether subject and issuer are the same and its own key verifies it. */
  readonly selfSigned: boolean;
  /** Whether the next certificate of the chain is the issuer and its key verifies this one; undefined for the last. */
  readonly signedByNext: boolean | undefined;
}

/** A subject alternative name, RFC 5280 §4.2.1.6: `DNS`, `IP Address`, `email`, `URI`, …, and its value. */
export interface AlternativeName {
  readonly kind: string;
  readonly value: string;
}

export interface PublicKey {
  /** `rsa`, `ec`, `ed25519`, …; undefined when the platform does not know the algorithm. */
  readonly algorithm: string | undefined;
  /** Bits of an RSA or DSA modulus. */
  readonly bits: number | undefined;
  /** The curve of an `ec` key, by OpenSSL's name. */
  readonly curve: string | undefined;
}

/** A certificate that is not one: not DER, or nothing that the platform can read. */
export interface UnreadableCertificate {
  readonly readable: false;
  /** Bytes. */
  readonly length: number;
}

/** Verifying costs up to a millisecond a certificate, and the peer decides how many there are; OpenSSL follows no chain longer than 100, browsers far less. */
const MAX_CERTIFICATES = 16;

/**
 * Explains a chain of DER certificates, the end entity's first, as in a
 * Certificate message. Trust is not decided, and no clock asked. Certificates
 * after the sixteenth are left out.
 */
export function explainChain(chain: readonly Uint8Array[]): (ExplainedCertificate | UnreadableCertificate)[] {
  const read = chain.slice(0, MAX_CERTIFICATES).map(readCertificate);
  return read.map((certificate, index) =>
    certificate === undefined
      ? { readable: false, length: chain[index]?.length ?? 0 }
      : explain(certificate, read[index + 1], index + 1 < read.length),
  );
}

/** The constructor throws on what is not a certificate. */
export function readCertificate(der: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(der);
  } catch {
    return undefined;
  }
}

function explain(
  certificate: X509Certificate,
  next: X509Certificate | undefined,
  hasNext: boolean,
): ExplainedCertificate {
  return {
    readable: true,
    subject: joinName(certificate.subject),
    issuer: joinName(certificate.issuer),
    serial: certificate.serialNumber,
    validFrom: Date.parse(certificate.validFrom),
    validTo: Date.parse(certificate.validTo),
    names: splitNames(certificate.subjectAltName),
    key: readKey(certificate),
    signatureAlgorithm: readSignatureAlgorithm(certificate),
    authority: certificate.ca,
    fingerprint: certificate.fingerprint256.replaceAll(":", "").toLowerCase(),
    selfSigned: isSignedBy(certificate, certificate),
    signedByNext: hasNext ? next !== undefined && isSignedBy(certificate, next) : undefined,
  };
}

/** The platform gives one attribute a line, with its special characters escaped. */
function joinName(name: string | undefined): string {
  return (name ?? "").split("\n").join(", ");
}

/** The platform joins names by `, ` and quotes, as JSON, a value in which that could mislead. */
function splitNames(text: string | undefined): AlternativeName[] {
  const names: AlternativeName[] = [];
  const pattern = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/gy;
  for (const [, kind = "", value = ""] of (text ?? "").matchAll(pattern)) names.push({ kind, value: unquote(value) });
  return names;
}

function unquote(value: string): string {
  if (!value.startsWith('"')) return value;
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}

function readKey(certificate: X509Certificate): PublicKey {
  try {
    const key = certificate.publicKey;
    return {
      algorithm: key.asymmetricKeyType,
      bits: key.asymmetricKeyDetails?.modulusLength,
      curve: key.asymmetricKeyDetails?.namedCurve,
    };
  } catch {
    return { algorithm: undefined, bits: undefined, curve: undefined };
  }
}

function readSignatureAlgorithm(certificate: X509Certificate): string | undefined {
  const value: unknown = Reflect.get(certificate, "signatureAlgorithm");
  return typeof value === "string" ? value : undefined;
}

/** A key of an unknown algorithm makes the platform throw. */
export function isSignedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    return false;
  }
}
