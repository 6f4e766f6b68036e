import { readErrorCode } from "../../error-code.ts";

/**
 * - `certificate`: the server's certificate is not to be trusted.
 * - `alert`: the server ended the handshake and said why.
 * - `protocol`: the server speaks no TLS, or none of ours, or went away.
 */
export type TlsFailureKind = "certificate" | "alert" | "protocol";

export interface TlsFailure {
  readonly kind: TlsFailureKind;
  /** For people: what was found. */
  readonly note: string;
}

/** What the codes of BoringSSL and Node mean; other codes are told as they are. */
const certificateNotes: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "has expired",
  CERT_NOT_YET_VALID: "is not valid yet",
  CERT_REVOKED: "is revoked",
  DEPTH_ZERO_SELF_SIGNED_CERT: "is signed by itself, and not one that is trusted",
  SELF_SIGNED_CERT_IN_CHAIN: "is signed by an authority that is not trusted",
  UNABLE_TO_GET_ISSUER_CERT: "is signed by an authority that is not known",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "is signed by an authority that is not known",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "is signed by an authority that is not known",
};

/** Explains why a TLS handshake as the client of `serverName` failed; `error` is undefined when the connection just ended. */
export function explainTlsError(error: Error | undefined, serverName: string): TlsFailure {
  const code = readErrorCode(error) ?? "";
  if (error === undefined || code === "ECONNRESET" || code === "EPIPE") {
    return { kind: "protocol", note: "the server closed the connection in the handshake" };
  }
  const alert = readAlertName(error);
  if (alert !== undefined) return { kind: "alert", note: alert };
  if (code === "EPROTO" || code.startsWith("ERR_SSL")) return { kind: "protocol", note: readReason(error) };
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID")
    return { kind: "certificate", note: `the certificate is not for ${serverName}` };
  return { kind: "certificate", note: `the certificate ${certificateNotes[code] ?? "does not verify"} (${code})` };
}

/** The name of a received alert (RFC 8446 §6), lower case; undefined for other errors. */
export function readAlertName(error: Error): string | undefined {
  return /(?:TLSV1|TLSV13|SSLV3|TLS)_ALERT_([A-Z_]+)/.exec(error.message)?.[1]?.toLowerCase();
}

/** The last part of `error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER`. */
function readReason(error: Error): string {
  return (error.message.split(":").at(-1) ?? "")
    .trim()
    .toLowerCase()
    .replaceAll(/[^a-z0-9_ ]/g, "");
}
