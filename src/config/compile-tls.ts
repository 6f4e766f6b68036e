import { formatTime } from "../escape-text.ts";
import type { ListenerCertificate, TlsPlan } from "../proxy/accept/listener-tls.ts";
import { readPemCertificates } from "../protocol/tls/read/pem-certificates.ts";
import { type FileGroup, followed } from "./follow-files.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths, readPair } from "./pem.ts";
import { type Checked, type Problem, quoteValue } from "./problem.ts";
import { listPemFiles, pemTexts } from "./references.ts";
import type { TlsSettings } from "./tls-schema.ts";

/** The files, and the time at which certificates must be valid. */
export interface TlsMaterials extends Pick<Materials, "files"> {
  /** Milliseconds since the epoch at which certificates must be valid; not looked at when absent. */
  readonly now?: number;
}

/** The certificates of one listener, to be read again when their files change. */
export interface TlsFiles extends FileGroup<TlsPlan> {
  /** Index in `listen`, or the sidecar. */
  readonly listener: number | "sidecar";
  /** The plan that is in use. */
  readonly plan: TlsPlan;
}

/** Of the settings, those that a server needs. */
type UsedSettings = Pick<TlsSettings, "clientCa"> &
  Partial<Pick<TlsSettings, "certificates" | "clientCertificate">> &
  ({ readonly acme: object } | { readonly cert: string; readonly key: string });

/** Compiles the TLS of a listener, `path` being its setting. Reports every certificate and key that cannot be used. */
export function compileTls(
  tls: UsedSettings,
  path: readonly PropertyKey[],
  { files, now }: TlsMaterials,
): Checked<TlsPlan> {
  const problems: Problem[] = [];
  const compile = (
    pair: { cert: string; key: string },
    where: readonly PropertyKey[],
  ): ListenerCertificate | undefined => {
    const compiled = compilePair(pair, where, { files, ...(now !== undefined && { now }) });
    if (compiled.ok) return compiled.value;
    problems.push(...compiled.problems);
    return undefined;
  };
  // An authority issues the first one while the proxy runs.
  const awaitsIssued = "acme" in tls;
  const first = awaitsIssued ? undefined : compile(tls, path);
  const others = (tls.certificates ?? []).map((pair, at) => compile(pair, [...path, "certificates", at]));
  const ca = tls.clientCa === undefined ? undefined : listPaths(tls.clientCa);
  if (tls.clientCa !== undefined) problems.push(...findAuthorityFaults(tls.clientCa, [...path, "clientCa"], files));
  if (problems.length > 0 || (first === undefined && !awaitsIssued)) return { ok: false, problems };
  return {
    ok: true,
    value: {
      certificates: [first, ...others].filter((each) => each !== undefined),
      ...(awaitsIssued && { awaitsIssued }),
      ...(ca && {
        clients: {
          ca: ca.map((file) => files.get(file) ?? ""),
          required: tls.clientCertificate !== "optional",
        },
      }),
    },
  };
}

/** Warns of the certificate files of a listener without the certificate of the issuer. */
export function findMissingIssuers({ certificates, awaitsIssued }: TlsPlan, path: readonly PropertyKey[]): Problem[] {
  const files = awaitsIssued === true ? [undefined, ...certificates] : certificates;
  return files.flatMap((certificate, at) => {
    if (certificate === undefined) return [];
    const message = describeMissingIssuer(certificate);
    return message === undefined
      ? []
      : { path: [...path, ...(at === 0 ? [] : ["certificates", at - 1]), "cert"], message };
  });
}

/**
 * Says that a file does not have the certificate of the issuer; undefined when it
 * has. Without it the TLS library tries, in each handshake, to open files of the
 * system that are named after the issuer.
 */
export function describeMissingIssuer({ file, cert }: Pick<ListenerCertificate, "file" | "cert">): string | undefined {
  const [leaf, ...others] = readPemCertificates(cert) ?? [];
  if (leaf === undefined || [leaf, ...others].some((issuer) => leaf.checkIssued(issuer))) return undefined;
  return `The file ${quoteValue(file)} has no certificate of the issuer of its first one: many clients cannot verify it, and each handshake looks for the issuer in files of the system. Append that one, and those between it and the root; certificate authorities call such a file "fullchain.pem".`;
}

/** Says how to follow the files of a listener's TLS, whose plan has been compiled. */
export function followTlsFiles(
  tls: UsedSettings,
  listener: number | "sidecar",
  plan: TlsPlan,
  materials: Pick<Materials, "files" | "folder">,
): TlsFiles {
  const names = listPemFiles(tls, { texts: pemTexts });
  return {
    listener,
    plan,
    files: followed(names, materials),
    recompile: (files, now) =>
      compileTls(tls, listener === "sidecar" ? ["sidecar", "tls"] : ["listen", listener, "tls"], { files, now }),
  };
}

/** Gives no problem when a file is missing: that is reported already. */
function compilePair(
  pair: { readonly cert: string; readonly key: string },
  path: readonly PropertyKey[],
  { files, now }: TlsMaterials,
): Checked<ListenerCertificate> {
  const { certificate, problems } = readPair(pair, path, files);
  const { cert, key } = pair;
  if (certificate && now !== undefined) {
    const fault = findDateFault(cert, certificate, now);
    if (fault !== undefined) problems.push({ path: [...path, "cert"], message: fault });
  }
  const certText = files.get(cert);
  const keyText = files.get(key);
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
    return `The certificate ${quoteValue(file)} is not valid before ${formatTime(validFromDate)}. Wait, or correct the clock of this machine, which says ${formatTime(now)}.`;
  if (now > validToDate.getTime())
    return `The certificate ${quoteValue(file)} expired at ${formatTime(validToDate)}. Renew it.`;
  return undefined;
}
