import type { X509Certificate } from "node:crypto";
import type * as z from "zod";

import type { TlsPlan } from "../proxy/accept/listener-tls.ts";
import { compileTls, findMissingIssuers, followTlsFiles, type TlsFiles } from "./compile-tls.ts";
import { pemPath, pemPaths, settings } from "./fields.ts";
import type { Materials } from "./materials.ts";
import { findAuthorityFaults, listPaths, readCertificate, readPair } from "./pem.ts";
import type { Problem } from "./problem.ts";
import { pair } from "./tls-schema.ts";

/** TLS of the sidecar. */
export const sidecarTlsSchema = settings(
  {
    ...pair,
    clientCa: pemPaths()
      .describe(
        "PEM file, or files, with the authorities that sign certificates of clients. A client without such a certificate is refused, and one with it needs a token all the same.",
      )
      .optional(),
    ca: pemPaths()
      .describe(
        "PEM file, or files, with the authorities by which commands on this machine (`penstock reload`, `penstock healthcheck`) verify the sidecar. Default: the certificates in `cert`, and the public authorities.",
      )
      .optional(),
    client: settings(
      {
        cert: pemPath("client.pem").describe("PEM file with it."),
        key: pemPath("client.key").describe("PEM file with its private key."),
      },
      "a map with cert and key",
    )
      .describe("The certificate of such commands, where `clientCa` is set.")
      .optional(),
  },
  "a map with cert and key",
).describe(
  "Makes the sidecar speak TLS 1.2 and 1.3 (`https://`), for one beyond loopback. The files are read again when they change.",
);

export type SidecarTlsSettings = z.output<typeof sidecarTlsSchema>;

/** How a program on this machine verifies its sidecar. */
export interface SidecarTrust {
  /** PEM texts of authorities, beside the public ones unless `only`. */
  readonly ca: readonly string[];
  readonly only: boolean;
  /** Names and addresses of its certificate, of which one has to be in the certificate that it shows: it is reached under its address. */
  readonly names: readonly string[];
  /** The certificate to show, as PEM texts. */
  readonly client?: { readonly cert: string; readonly key: string };
}

/** The TLS of the sidecar, to be served and to be verified. */
export interface SidecarTlsPlan {
  readonly server: TlsPlan;
  readonly trust: SidecarTrust;
}

const PATH = ["sidecar", "tls"];

/** Reports certificates and keys that cannot be used. */
export function findSidecarTlsProblems(tls: SidecarTlsSettings, materials: Materials): Problem[] {
  const compiled = compileTls(tls, PATH, materials);
  return [
    ...(compiled.ok ? [] : compiled.problems),
    ...(tls.ca === undefined ? [] : findAuthorityFaults(tls.ca, [...PATH, "ca"], materials.files)),
    ...(tls.client ? readPair(tls.client, [...PATH, "client"], materials.files).problems : []),
  ];
}

/** Compiles settings without problems; undefined when a file is missing, which is reported already. */
export function compileSidecarTls(
  tls: SidecarTlsSettings,
  materials: Materials,
): { plan: SidecarTlsPlan; files: TlsFiles; warnings: Problem[] } | undefined {
  const compiled = compileTls(tls, PATH, materials);
  if (!compiled.ok) return undefined;
  const server = compiled.value;
  const trust = readSidecarTrust(tls, (file) => materials.files.get(file));
  return {
    plan: { server, trust },
    files: followTlsFiles(tls, "sidecar", server, materials),
    warnings: findMissingIssuers(server, PATH),
  };
}

/** What the files of these settings say about trust. A file that `read` does not find is left out. */
export function readSidecarTrust(
  tls: Partial<SidecarTlsSettings>,
  read: (file: string) => string | undefined,
): SidecarTrust {
  const own = read(tls.cert ?? "") ?? "";
  const ca = tls.ca === undefined ? [own] : listPaths(tls.ca).map((file) => read(file) ?? "");
  const cert = read(tls.client?.cert ?? "");
  const key = read(tls.client?.key ?? "");
  return {
    ca: ca.filter((pem) => pem !== ""),
    only: tls.ca !== undefined,
    names: listNames(readCertificate(own)),
    ...(cert !== undefined && key !== undefined && { client: { cert, key } }),
  };
}

function listNames(certificate: X509Certificate | undefined): string[] {
  if (certificate === undefined) return [];
  const { subjectAltName, subject } = certificate;
  const names = [...(subjectAltName ?? "").matchAll(/(?:^|, )(?:DNS|IP Address):([^",]+)/g)];
  const common = subjectAltName === undefined ? [...(/^CN=(.+)$/gm.exec(subject) ?? [])].slice(1) : [];
  return [...names.map(([, name = ""]) => name), ...common];
}
