import type { Conn } from "./conn.ts";
import type { TlsFailure } from "./tls-error.ts";

export interface ClientTlsOptions {
  /** Name, or address, that the certificate must be for. A name is also sent as SNI (RFC 6066 §3). */
  readonly serverName: string;
  /** PEM texts of the only roots to trust; those that come with the program when absent. */
  readonly ca?: readonly string[];
  /** PEM texts of the certificate chain to show when asked for one, and of its key. */
  readonly cert?: string;
  readonly key?: string;
}

export type SecureResult = { readonly ok: true; readonly conn: Conn } | ({ readonly ok: false } & TlsFailure);

/** A TLS handshake under way. */
export interface SecureAttempt {
  /** Gives it up and resets the connection. `done` is not called any more. */
  cancel(): void;
}
