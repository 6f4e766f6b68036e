import { createPrivateKey } from "node:crypto";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from "@peculiar/x509";

/** A certificate and its key as texts of PEM files. */
export interface PemPair {
  readonly cert: string;
  readonly key: string;
}

/** What a certificate is for. `text` is an address, or a DNS name in ASCII, perhaps with `*.` in front. */
export interface CertificateName {
  readonly kind: "ip" | "dns";
  readonly text: string;
}

/** Can sign certificates. */
export interface LocalAuthority {
  /** PEM text. */
  readonly cert: string;
  /** Milliseconds since the epoch after which nothing that it signed is accepted. */
  readonly expiresAt: number;
  /** Signs a certificate of a new key for servers with these names; the first one is shown to people, too. */
  issue(names: readonly [CertificateName, ...CertificateName[]], validity: Validity): Promise<PemPair>;
  /** Whether it has signed the first certificate of a PEM text. */
  hasSigned(cert: string): Promise<boolean>;
}

/** Milliseconds since the epoch. */
export interface Validity {
  readonly from: number;
  readonly to: number;
}

/** P-256: every client knows it, and a signature takes a tenth of the time of RSA. */
const keyAlgorithm = { name: "ECDSA", namedCurve: "P-256" };
const signingAlgorithm = { name: "ECDSA", hash: "SHA-256" };

/** Makes an authority that signs certificates of servers and no further authorities. */
export async function makeAuthority(name: string, validity: Validity): Promise<PemPair> {
  const keys = await generateKeys();
  const certificate = await X509CertificateGenerator.createSelfSigned({
    // A unique name: trust stores distinguish authorities by name.
    name: [{ CN: [`${name} ${randomHex(4)}`] }],
    serialNumber: makeSerial(),
    notBefore: new Date(validity.from),
    notAfter: new Date(validity.to),
    keys,
    signingAlgorithm,
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { cert: formatPem(certificate), key: await exportKey(keys.privateKey) };
}

/** Opens the authority of a pair that `makeAuthority` made; undefined when the texts are no such pair. */
export async function openAuthority({ cert, key }: PemPair): Promise<LocalAuthority | undefined> {
  const opened = await importPair(cert, key);
  if (opened === undefined) return undefined;
  const { certificate, privateKey } = opened;
  return {
    cert,
    expiresAt: certificate.notAfter.getTime(),
    async issue(names, validity) {
      const keys = await generateKeys();
      const leaf = await X509CertificateGenerator.create({
        // RFC 5280 allows 64 characters here; clients look at the alternative names alone.
        subject: [{ CN: [names[0].text.slice(0, 64)] }],
        issuer: certificate.subjectName,
        serialNumber: makeSerial(),
        notBefore: new Date(validity.from),
        notAfter: new Date(validity.to),
        publicKey: keys.publicKey,
        signingKey: privateKey,
        signingAlgorithm,
        extensions: [
          new BasicConstraintsExtension(false, undefined, true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth]),
          new SubjectAlternativeNameExtension(names.map(({ kind, text }) => ({ type: kind, value: text }))),
          await SubjectKeyIdentifierExtension.create(keys.publicKey),
          await AuthorityKeyIdentifierExtension.create(certificate),
        ],
      });
      return { cert: formatPem(leaf), key: await exportKey(keys.privateKey) };
    },
    async hasSigned(text) {
      try {
        return await new X509Certificate(text).verify({ publicKey: certificate, signatureOnly: true });
      } catch {
        // Not a certificate.
        return false;
      }
    },
  };
}

async function importPair(cert: string, key: string) {
  try {
    const certificate = new X509Certificate(cert);
    const der = createPrivateKey(key).export({ type: "pkcs8", format: "der" });
    const privateKey = await crypto.subtle.importKey("pkcs8", new Uint8Array(der), keyAlgorithm, false, ["sign"]);
    const publicKey = await certificate.publicKey.export(keyAlgorithm, ["verify"]);
    const challenge = crypto.getRandomValues(new Uint8Array(16));
    const signature = await crypto.subtle.sign(signingAlgorithm, privateKey, challenge);
    const matches = await crypto.subtle.verify(signingAlgorithm, publicKey, signature, challenge);
    return matches && certificate.getExtension(BasicConstraintsExtension)?.ca === true
      ? { certificate, privateKey }
      : undefined;
  } catch {
    // Files of another program: a different kind of key, or no PEM at all.
    return undefined;
  }
}

function generateKeys(): Promise<CryptoKeyPair> {
  return crypto.subtle.generateKey(keyAlgorithm, true, ["sign", "verify"]);
}

async function exportKey(key: CryptoKey): Promise<string> {
  return `${PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function formatPem(certificate: X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}

/** RFC 5280 §4.1.2.2: positive, at most 20 bytes; 15 random ones, after one that keeps it positive. */
function makeSerial(): string {
  return `01${randomHex(15)}`;
}

function randomHex(bytes: number): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(bytes))).toString("hex");
}
