import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";

import { readPemCertificates } from "../protocol/tls/read/pem-certificates.ts";
import { type Problem, quoteValue } from "./problem.ts";

/** The first certificate of a PEM text; libraries throw for what is none. */
export function readCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** The first private key of a PEM text; undefined for one that needs a passphrase too. */
export function readPrivateKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem);
  } catch {
    return undefined;
  }
}

/**
 * Says what is wrong with the files of authorities at a setting. Each certificate
 * must be readable: one that is passed over trusts nobody. A missing file has
 * been reported already.
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

/** Says that the file at a setting holds no PEM of that kind. */
export function refusePem(path: readonly PropertyKey[], file: string, what: string): Problem {
  return { path, message: `${quoteValue(file)} has no ${what} in PEM form.` };
}

/** A path, or paths, as a list. */
export function listPaths(paths: string | readonly string[]): readonly string[] {
  return typeof paths === "string" ? [paths] : paths;
}
