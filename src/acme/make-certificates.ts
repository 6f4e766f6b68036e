import {
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  PemConverter,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** PEM texts. */
export interface MadePair {
  readonly cert: string;
  readonly key: string;
}

/** A request for a certificate, and the key that it is for. */
export interface MadeRequest {
  /** DER in base64url, as an order takes it. */
  readonly csr: string;
  /** PEM. */
  readonly key: string;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };
/** RFC 8737 §6.1: id-pe-acmeIdentifier. */
const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31";
const DAY_MS = 86_400_000;

/** Makes a key and a request for a certificate with these names, and no other: no name of the subject (RFC 8555 §7.4). */
export async function makeRequest(names: readonly string[]): Promise<MadeRequest> {
  const keys = await makeKeys();
  const request = await Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [new SubjectAlternativeNameExtension(names.map((value) => ({ type: "dns", value })))],
  });
  return { csr: Buffer.from(request.rawData).toString("base64url"), key: await writeKey(keys.privateKey) };
}

/** Makes the certificate that answers a TLS-ALPN-01 challenge (RFC 8737 §3). `now` is in milliseconds since the epoch. */
export async function makeChallengeCertificate(name: string, digest: Uint8Array, now: number): Promise<MadePair> {
  const keys = await makeKeys();
  // An OCTET STRING of 32 bytes.
  const value = new Uint8Array([0x04, digest.length, ...digest]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    serialNumber: `01${Buffer.from(crypto.getRandomValues(new Uint8Array(15))).toString("hex")}`,
    name: "CN=ACME challenge",
    notBefore: new Date(now - DAY_MS),
    notAfter: new Date(now + 7 * DAY_MS),
    keys,
    signingAlgorithm: SIGNATURE,
    extensions: [
      new SubjectAlternativeNameExtension([{ type: "dns", value: name }]),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
      new Extension(ACME_IDENTIFIER, true, value),
    ],
  });
  return { cert: `${certificate.toString("pem")}\n`, key: await writeKey(keys.privateKey) };
}

function makeKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
}

async function writeKey(key: CryptoKey): Promise<string> {
  return `${PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}
