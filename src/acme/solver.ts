import type { AcmeResult } from "./outcome.ts";

/** How control of a name is shown. */
export type ChallengeType = "tls-alpn-01" | "http-01" | "dns-01";

/** What has to be shown for a name. */
export interface Proof {
  /** Without `*.`. */
  readonly name: string;
  /** Characters of base64url. */
  readonly token: string;
  /** RFC 8555 §8.1. */
  readonly keyAuthorization: string;
}

/** Shows the proofs of one order while the authority looks. */
export interface Solver {
  readonly type: ChallengeType;
  /** Shows all of them; a fault when that cannot be. */
  begin(proofs: readonly Proof[], signal: AbortSignal): Promise<AcmeResult<void>>;
  /** Takes away what was shown, also after a `begin` that failed. Never fails. */
  end(): Promise<void>;
  /** Said after a failure: what the authority must be able to reach. */
  readonly hint: string;
}

/** RFC 8555 §8.4: what the TXT record of a name has. */
export function writeDnsValue(keyAuthorization: string): string {
  return new Bun.CryptoHasher("sha256").update(keyAuthorization).digest("base64url");
}

/** RFC 8737 §3: what the extension of the certificate has. */
export function digestKeyAuthorization(keyAuthorization: string): Uint8Array {
  return new Bun.CryptoHasher("sha256").update(keyAuthorization).digest();
}
