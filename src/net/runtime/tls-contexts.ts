import { createHash } from "node:crypto";
import type * as tls from "node:tls";

/** PEM texts: a certificate with its intermediates, and its key. */
export interface CertificateAndKey {
  readonly cert: string;
  readonly key: string;
}

/** Certificate, key and settings as Bun takes them, and keys for session tickets. */
export interface TlsContext {
  readonly native: unknown;
}

export type TlsContextResult =
  | { readonly ok: true; readonly context: TlsContext }
  /** `reason` is the text of the TLS library. */
  | { readonly ok: false; readonly reason: string };

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

/**
 * Contexts by their certificate, key and authorities. Each has keys of its own for
 * session tickets, which the runtime makes, renews every two days and gives to
 * nobody. So all listeners with the same certificate use one context, also after a
 * reload: a client resumes at each of them. A context lives as long as a listener
 * uses it.
 */
export class TlsContexts {
  readonly #known = new Map<string, WeakRef<TlsContext>>();

  /** Finds the context, or makes it. With `authorities` (PEM texts) clients are asked for a certificate. */
  find(certificate: CertificateAndKey, authorities: readonly string[] | undefined): TlsContextResult {
    const key = describe(certificate, authorities);
    const known = this.#known.get(key)?.deref();
    if (known !== undefined) return { ok: true, context: known };
    const created = createContext(certificate, authorities);
    for (const [old, context] of this.#known) if (context.deref() === undefined) this.#known.delete(old);
    if (created.ok) this.#known.set(key, new WeakRef(created.context));
    return created;
  }
}

/** Equal for contexts that do the same. Whether clients need a certificate is judged outside of them. */
function describe({ cert, key }: CertificateAndKey, authorities: readonly string[] | undefined): string {
  return createHash("sha256")
    .update(JSON.stringify([cert, key, authorities ?? null]))
    .digest("base64");
}

/** Gives Node's TLS module, loaded on first use: it brings a hundred roots with it, and most proxies speak no TLS themselves. */
export function loadTls(): typeof tls {
  return process.getBuiltinModule("node:tls");
}

function createContext({ cert, key }: CertificateAndKey, authorities: readonly string[] | undefined): TlsContextResult {
  const options = {
    cert,
    key,
    minVersion: "TLSv1.2",
    ciphers: CIPHERS,
    ...(authorities && { ca: [...authorities], requestCert: true, rejectUnauthorized: false }),
  } as const;
  try {
    const { context } = loadTls().createSecureContext(options);
    return { ok: true, context: { native: context } };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}
