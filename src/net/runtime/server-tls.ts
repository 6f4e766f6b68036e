import type { X509Certificate } from "node:crypto";
import type * as tls from "node:tls";
import { readPemCertificates } from "../../protocol/tls/read/pem-certificates.ts";

/** A certificate with its key, ready to be shown to clients. */
export interface ServerCertificate {
  /** PEM text: the certificate itself, then those between it and its root. */
  readonly cert: string;
  /** PEM text. */
  readonly key: string;
  /** DNS names that it is for, lower case; `*.` in front for any one label. */
  readonly names: readonly string[];
}

/** Whether clients are asked for certificates of their own. */
export interface ClientCertificates {
  /** PEM texts of the only authorities that may have signed them. */
  readonly ca: readonly string[];
  /** Whether a client without one is refused. One that does not verify is refused either way. */
  readonly required: boolean;
}

export interface ServerTlsOptions {
  /** The first one is for clients that ask for no name, or for none that is known. */
  readonly certificates: readonly [ServerCertificate, ...ServerCertificate[]];
  readonly clients?: ClientCertificates;
}

/** Everything that a listener needs for the server's side of a handshake. Immutable: a reload makes a new one. */
export interface ServerTls {
  /** The context that fits the name which a client asks for (RFC 6066 §3). */
  choose(serverName: string | undefined): TlsContext;
  readonly clients: "none" | "optional" | "required";
  /** The only ones that may have signed the certificates of clients. */
  readonly clientAuthorities: readonly X509Certificate[];
}

/** Certificate, key and settings in the form that Bun wants, and its own keys for session tickets. */
export interface TlsContext {
  readonly native: unknown;
}

export type ServerTlsResult =
  | { readonly ok: true; readonly tls: ServerTls }
  /** `at` is the index of the certificate that cannot be used. `reason` is the TLS library's. */
  | { readonly ok: false; readonly at: number; readonly reason: string };

/**
 * Forward secrecy and authenticated encryption only (RFC 9325 §4.2). The order
 * does not matter: the client's preference decides, since it knows whether its
 * processor has AES. TLS 1.3 has no other kind.
 */
const CIPHERS = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
].join(":");

/** Makes the contexts of a listener, one for each certificate. They outlive connections: sessions are resumed by them. */
export function createServerTls({ certificates, clients }: ServerTlsOptions): ServerTlsResult {
  const contexts: TlsContext[] = [];
  const byName = new Map<string, TlsContext>();
  for (const [at, certificate] of certificates.entries()) {
    const created = createContext(certificate, clients);
    if (!created.ok) return { ok: false, at, reason: created.reason };
    contexts.push(created.context);
    // Of two for the same name the first one stays.
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

/** The very name wins over a wildcard, which stands for exactly one label (RFC 9525 §6.3). */
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
