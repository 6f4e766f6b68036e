import type { X509Certificate } from "node:crypto";
import type * as tls from "node:tls";
import { readPemCertificates } from "../../protocol/tls/read/pem-certificates.ts";

/** A certificate with its key, for clients. */
export interface ServerCertificate {
  /** PEM text: the certificate, then its intermediates. */
  readonly cert: string;
  /** PEM text. */
  readonly key: string;
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
  /** The first one is the default: for clients that send no SNI, or an unknown one. */
  readonly certificates: readonly [ServerCertificate, ...ServerCertificate[]];
  readonly clients?: ClientCertificates;
}

/** What a listener needs for handshakes. Immutable: a reload makes a new one. */
export interface ServerTls {
  /** The context for an SNI (RFC 6066 §3). */
  choose(serverName: string | undefined): TlsContext;
  readonly clients: "none" | "optional" | "required";
  /** The only accepted authorities of client certificates. */
  readonly clientAuthorities: readonly X509Certificate[];
}

/** Certificate, key and settings as Bun takes them, and keys for session tickets. */
export interface TlsContext {
  readonly native: unknown;
}

export type ServerTlsResult =
  | { readonly ok: true; readonly tls: ServerTls }
  /** `at` is the index of the unusable certificate. `reason` is the text of the TLS library. */
  | { readonly ok: false; readonly at: number; readonly reason: string };

/**
 * Forward secrecy and authenticated encryption only (RFC 9325 §4.2), as in TLS
 * 1.3. The client's order of preference decides: it knows whether its processor
 * has AES.
 */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** Makes the contexts of a listener, one per certificate. They outlive connections, so that sessions can be resumed. */
export function createServerTls({ certificates, clients }: ServerTlsOptions): ServerTlsResult {
  const contexts: TlsContext[] = [];
  const byName = new Map<string, TlsContext>();
  for (const [at, certificate] of certificates.entries()) {
    const created = createContext(certificate, clients);
    if (!created.ok) return { ok: false, at, reason: created.reason };
    contexts.push(created.context);
    // Of two certificates for the same name the first one wins.
    for (const name of certificate.names) if (!byName.has(name)) byName.set(name, created.context);
  }
  const [first] = contexts;
  if (first === undefined) throw new Error("A TLS listener without a certificate");
  return {
    ok: true,
    tls: {
      choose: (serverName) => findByName(byName, serverName) ?? first,
      clients: clients === undefined ? "none" : clients.required ? "required" : "optional",
      clientAuthorities: (clients?.ca ?? []).flatMap((pem) => readPemCertificates(pem) ?? []),
    },
  };
}

/** Gives Node's TLS module, loaded on first use: it brings a hundred roots with it, and most proxies speak no TLS themselves. */
export function loadTls(): typeof tls {
  return process.getBuiltinModule("node:tls");
}

/** An exact name wins over a wildcard, which stands for exactly one label (RFC 9525 §6.3). */
function findByName<T>(byName: ReadonlyMap<string, T>, serverName: string | undefined): T | undefined {
  if (serverName === undefined) return undefined;
  const name = serverName.toLowerCase().replace(/\.$/, "");
  const dot = name.indexOf(".");
  return byName.get(name) ?? (dot > 0 ? byName.get(`*${name.slice(dot)}`) : undefined);
}

function createContext(
  { cert, key }: ServerCertificate,
  clients: ClientCertificates | undefined,
): { ok: true; context: TlsContext } | { ok: false; reason: string } {
  const options = {
    cert,
    key,
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
    ...(clients && { ca: [...clients.ca], requestCert: true, rejectUnauthorized: false }),
  } as const;
  try {
    const { context } = loadTls().createSecureContext(options);
    return { ok: true, context: { native: context } };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
