import type { X509Certificate } from "node:crypto";
import { readPemCertificates } from "../../protocol/tls/read/pem-certificates.ts";
import { type CertificateAndKey, type TlsContext, TlsContexts } from "./tls-contexts.ts";

/** A certificate with its key, for clients. */
export interface ServerCertificate extends CertificateAndKey {
  /** Its DNS names, lower case; `*.` in front stands for any one label. */
  readonly names: readonly string[];
}

export interface ClientCertificates {
  /** PEM texts of the only accepted authorities. */
  readonly ca: readonly string[];
  /** Whether a client without a certificate is refused. An invalid certificate always is. */
  readonly required: boolean;
}

export interface ServerTlsOptions {
  /** The first one is the default: for clients that send no SNI, or an unknown one. Empty while the only one is being ordered. */
  readonly certificates: readonly ServerCertificate[];
  readonly clients?: ClientCertificates;
  /** What an authority looks for: contexts by name, for those who ask for `acme-tls/1`. Absent where none looks. */
  readonly challenges?: ReadonlyMap<string, TlsContext>;
}

/** What a listener needs for handshakes. Immutable: a reload makes a new one. */
export interface ServerTls {
  /** The context for an SNI (RFC 6066 §3); undefined while there is no certificate. */
  choose(serverName: string | undefined): TlsContext | undefined;
  /** The contexts of challenges (RFC 8737), by name; absent where no authority looks. */
  readonly challenges?: ReadonlyMap<string, TlsContext>;
  readonly clients: "none" | "optional" | "required";
  /** The only accepted authorities of client certificates. */
  readonly clientAuthorities: readonly X509Certificate[];
}

export type ServerTlsResult =
  | { readonly ok: true; readonly tls: ServerTls }
  /** `at` is the index of the unusable certificate. `reason` is the text of the TLS library. */
  | { readonly ok: false; readonly at: number; readonly reason: string };

/** Finds or makes the contexts of a listener, one per certificate. They outlive connections, so that sessions can be resumed. */
export function createServerTls(
  { certificates, clients, challenges }: ServerTlsOptions,
  known: TlsContexts = new TlsContexts(),
): ServerTlsResult {
  const contexts: TlsContext[] = [];
  const byName = new Map<string, TlsContext>();
  for (const [at, certificate] of certificates.entries()) {
    const created = known.find(certificate, clients?.ca);
    if (!created.ok) return { ok: false, at, reason: created.reason };
    contexts.push(created.context);
    // Of two certificates for the same name the first one wins.
    for (const name of certificate.names) if (!byName.has(name)) byName.set(name, created.context);
  }
  const [first] = contexts;
  if (first === undefined && challenges === undefined) throw new Error("A TLS listener without a certificate");
  return {
    ok: true,
    tls: {
      choose: (serverName) => findByName(byName, serverName) ?? first,
      ...(challenges && { challenges }),
      clients: clients === undefined ? "none" : clients.required ? "required" : "optional",
      clientAuthorities: (clients?.ca ?? []).flatMap((pem) => readPemCertificates(pem) ?? []),
    },
  };
}

/** An exact name wins over a wildcard, which stands for exactly one label (RFC 9525 §6.3). */
function findByName<T>(byName: ReadonlyMap<string, T>, serverName: string | undefined): T | undefined {
  if (serverName === undefined) return undefined;
  const name = serverName.toLowerCase().replace(/\.$/, "");
  const dot = name.indexOf(".");
  return byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined);
}
