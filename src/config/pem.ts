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

/** Says what is wrong with a file of authorities at a setting; undefined for nothing. Each certificate in it must be readable: one that is passed over trusts nobody. */
export function findAuthorityFault(path: readonly PropertyKey[], file: string, pem: string): Problem | undefined {
  return readPemCertificates(pem) === undefined ? refusePem(path, file, "certificate") : undefined;
}

/** Says that the file at a setting holds no PEM of that kind. */
export function refusePem(path: readonly PropertyKey[], file: string, what: string): Problem {
  return { path, message: `${quoteValue(file)} has no ${what} in PEM form.` };
}

/** A path, or paths, as a list. */
export function listPaths(paths: string | readonly string[]): readonly string[] {
  return typeof paths === "string" ? [paths] : paths;
}
