import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

import { readPemCertificates } from "../protocol/tls/read/pem-certificates.ts";
import { type Problem, quoteValue } from "./problem.ts";

/** The first certificate of a PEM text; undefined when there is none. */
export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** The first private key of a PEM text; undefined for one that needs a passphrase too. */
function readPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/**
 * Finds files of authorities with a certificate that cannot be read: skipping it
 * would silently not trust it. A missing file is reported already.
 */
export function findAuthorityFaults(
  paths: string | readonly string[],
  setting: readonly PropertyKey[],
  files: ReadonlyMap<string, string>,
): Problem[] {
  return listPaths(paths).flatMap((file, at) => {
    const text = files.get(file);
    if (text === undefined || readPemCertificates(text) !== undefined) return [];
    return refusePem(typeof paths === "string" ? setting : [...setting, at], file, "certificate");
  });
}

/** A certificate and its key, by the names of their files. */
interface Pair {
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/**
 * Reads the certificate and the key at a setting. Reports those that cannot be
 * read or do not belong together; a missing file is reported already.
 */
export function readPair(
  { cert, key }: Pair,
  path: readonly PropertyKey[],
  files: ReadonlyMap<string, string>,
): { certificate: X509Certificate | undefined; problems: Problem[] } {
  const certText = cert === undefined ? undefined : files.get(cert);
  const keyText = key === undefined ? undefined : files.get(key);
  const certificate = certText === undefined ? undefined : readCertificate(certText);
  const privateKey = keyText === undefined ? undefined : readPrivateKey(keyText);
  const problems: Problem[] = [];
  if (cert !== undefined && certText !== undefined && !certificate)
    problems.push(refusePem([...path, "cert"], cert, "certificate"));
  if (key !== undefined && keyText !== undefined && !privateKey)
    problems.push(refusePem([...path, "key"], key, "unencrypted private key"));
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey))
    problems.push({
      path: [...path, "key"],
      message: `The key ${quoteValue(key)} does not belong to the first certificate in ${quoteValue(cert)}. Put the certificate of that key first, and those that signed it after it.`,
    });
  return { certificate, problems };
}

/** Says that the file at a setting holds no PEM of that kind. */
function refusePem(path: readonly PropertyKey[], file: string, what: string): Problem {
  return { path, message: `${quoteValue(file)} has no ${what} in PEM form.` };
}

export function listPaths(paths: string | readonly string[]): readonly string[] {
  return typeof paths === "string" ? [paths] : paths;
}
