const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads a user name or a password: as UTF-8, and where it is none as ISO-8859-1,
 * which older clients send without asking (RFC 7617 §2 leaves it open).
 */
export function decodeCredentialText(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return Buffer.from(bytes).toString("latin1");
  }
}
