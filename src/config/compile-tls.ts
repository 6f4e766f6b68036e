import { resolve } from "node:path";

import type { ListenerCertificate, TlsPlan } from "../proxy/accept/listener-tls.ts";
import { readPemCertificates } from "../protocol/tls/read/pem-certificates.ts";
import type { FileGroup } from "./follow-files.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths, readCertificate, readPrivateKey, refusePem } from "./pem.ts";
import { type Checked, type Problem, quoteValue } from "./problem.ts";
import type { TlsSettings } from "./tls-schema.ts";

/** What compiling needs of the materials, and the time. */
export interface TlsMaterials extends Pick<Materials, "files"> {
  /** Milliseconds since the epoch at which certificates must be valid; not looked at when absent. */
  readonly now?: number;
}

/** The certificates of one listener, to be read again when their files change. */
export interface TlsFiles extends FileGroup<TlsPlan> {
  /** Index in `listen`. */
  readonly listener: number;
  /** The plan that is in use. */
  readonly plan: TlsPlan;
}

/** Compiles the TLS of a listener, `path` being its setting. Tells of every certificate and key that cannot be used. */
export function compileTls(
  tls: TlsSettings,
  path: readonly PropertyKey[],
  { files, now }: TlsMaterials,
): Checked<TlsPlan> {
  const problems: Problem[] = [];
  const compile = (pair: Pair, where: readonly PropertyKey[]): ListenerCertificate | undefined => {
    const compiled = compilePair(pair, where, { files, ...(now !== undefined && { now }) });
    if (compiled.ok) return compiled.value;
    problems.push(...compiled.problems);
    return undefined;
  };
  const first = compile(tls, path);
  const others = (tls.certificates ?? []).map((pair, at) => compile(pair, [...path, "certificates", at]));
  const ca = tls.clientCa === undefined ? undefined : listPaths(tls.clientCa);
  if (tls.clientCa !== undefined) problems.push(...findAuthorityFaults(tls.clientCa, [...path, "clientCa"], files));
  if (first === undefined || problems.length > 0) return { ok: false, problems };
  return {
    ok: true,
    value: {
      certificates: [first, ...others.filter((each) => each !== undefined)],
      ...(ca && {
        clients: {
          ca: ca.map((file) => files.get(file) ?? ""),
          required: tls.clientCertificate !== "optional",
        },
      }),
    },
  };
}

/**
 * Certificate files of a listener that do not have the certificate of the issuer.
 * For each handshake the TLS library then tries to open files of the system that
 * are named after the issuer.
 */
export function findMissingIssuers(
  tls: TlsSettings,
  path: readonly PropertyKey[],
  { files }: Pick<Materials, "files">,
): Problem[] {
  const pairs = [
    { cert: tls.cert, path },
    ...(tls.certificates ?? []).map(({ cert }, at) => ({ cert, path: [...path, "certificates", at] })),
  ];
  return pairs.flatMap(({ cert, path: where }) => {
    const [leaf, ...others] = readPemCertificates(files.get(cert) ?? "") ?? [];
    if (leaf === undefined || [leaf, ...others].some((issuer) => leaf.checkIssued(issuer))) return [];
    return {
      path: [...where, "cert"],
      message: `The file ${quoteValue(cert)} has no certificate of the issuer of its first one: many clients cannot verify it, and each handshake looks for the issuer in files of the system. Append that one, and those between it and the root; certificate authorities call such a file "fullchain.pem".`,
    };
  });
}

/** Says how to follow the files of a listener's TLS, whose plan has been compiled. */
export function followTlsFiles(
  tls: TlsSettings,
  listener: number,
  plan: TlsPlan,
  materials: Pick<Materials, "files" | "folder">,
): TlsFiles {
  const pairs = [tls, ...(tls.certificates ?? [])].flatMap(({ cert, key }) => [cert, key]);
  const names = new Set([...pairs, ...(tls.clientCa === undefined ? [] : listPaths(tls.clientCa))]);
  return {
    listener,
    plan,
    files: [...names].map((name) => ({
      name,
      path: resolve(materials.folder, name),
      text: materials.files.get(name) ?? "",
    })),
    recompile: (files, now) => compileTls(tls, ["listen", listener, "tls"], { files, now }),
  };
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** An empty list of problems when a file is missing, which has been told of already. */
function compilePair(
  { cert, key }: Pair,
  path: readonly PropertyKey[],
  { files, now }: TlsMaterials,
): Checked<ListenerCertificate> {
  const certText = files.get(cert);
  const keyText = files.get(key);
  const certificate = certText === undefined ? undefined : readCertificate(certText);
  const privateKey = keyText === undefined ? undefined : readPrivateKey(keyText);
  const problems: Problem[] = [];
  if (certText !== undefined && !certificate) problems.push(refusePem([...path, "cert"], cert, "certificate"));
  if (keyText !== undefined && !privateKey) problems.push(refusePem([...path, "key"], key, "unencrypted private key"));
  if (certificate && privateKey && !certificate.checkPrivateKey(privateKey)) {
    problems.push({
      path: [...path, "key"],
      message: `The key ${quoteValue(key)} does not belong to the first certificate in ${quoteValue(cert)}. Put the certificate of that key first, and those that signed it after it.`,
    });
  }
  if (certificate && now !== undefined) {
    const fault = findDateFault(cert, certificate, now);
    if (fault !== undefined) problems.push({ path: [...path, "cert"], message: fault });
  }
  if (problems.length > 0 || !certificate || certText === undefined || keyText === undefined)
    return { ok: false, problems };
  const { subjectAltName = "", validToDate } = certificate;
  return {
    ok: true,
    value: {
      file: cert,
      cert: certText,
      key: keyText,
      names: [...subjectAltName.matchAll(/(?:^|, )DNS:([^",]+)/g)].map(([, name = ""]) => name.toLowerCase()),
      expiresAt: validToDate.getTime(),
    },
  };
}

function findDateFault(
  file: string,
  { validFromDate, validToDate }: { readonly validFromDate: Date; readonly validToDate: Date },
  now: number,
): string | undefined {
  if (now < validFromDate.getTime())
    return `The certificate ${quoteValue(file)} is not valid before ${formatTime(validFromDate)}. Wait, or correct the clock of this machine, which says ${formatTime(new Date(now))}.`;
  if (now > validToDate.getTime())
    return `The certificate ${quoteValue(file)} expired at ${formatTime(validToDate)}. Renew it.`;
  return undefined;
}

/** `2026-11-22 06:00:00 UTC`. */
function formatTime(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace("T", " ")} UTC`;
}
