import type { ByteReader, TlsBadCode } from "./byte-reader.ts";

/** One extension of a hello, in clear. */
export interface TlsExtension {
  readonly type: number;
  /** Bytes of its contents. */
  readonly length: number;
}

/** Numbers of the extensions that this parser looks into (IANA TLS ExtensionType Values). */
export const EXTENSION = {
  serverName: 0,
  statusRequest: 5,
  supportedGroups: 10,
  ecPointFormats: 11,
  signatureAlgorithms: 13,
  alpn: 16,
  signedCertificateTimestamp: 18,
  padding: 21,
  encryptThenMac: 22,
  extendedMasterSecret: 23,
  compressCertificate: 27,
  recordSizeLimit: 28,
  delegatedCredential: 34,
  sessionTicket: 35,
  preSharedKey: 41,
  earlyData: 42,
  supportedVersions: 43,
  cookie: 44,
  pskKeyExchangeModes: 45,
  postHandshakeAuth: 49,
  signatureAlgorithmsCert: 50,
  keyShare: 51,
  applicationSettingsOld: 17513,
  applicationSettings: 17613,
  encryptedClientHello: 0xfe0d,
  renegotiationInfo: 0xff01,
} as const;

/** Reads the contents of one extension; the word for what is wrong with its value, or nothing. It need not check that all was there and all was read. */
export type ReadExtension = (type: number, data: ByteReader) => TlsBadCode | undefined;

/**
 * Reads the extensions at the end of a hello, calling `read` for each. A hello
 * may end before them (RFC 5246 §7.4.1.2). Gives the list in wire order, or
 * what is wrong with it and where.
 */
export function readExtensions(
  reader: ByteReader,
  read: ReadExtension,
): readonly TlsExtension[] | { readonly code: TlsBadCode; readonly at: number } {
  const extensions: TlsExtension[] = [];
  if (reader.left === 0) return extensions;
  const seen = new Set<number>();
  const block = reader.vector(2);
  while (block.left > 0) {
    const at = block.at;
    const type = block.uint(2);
    const data = block.vector(2);
    if (data.short) return { code: "truncated", at };
    if (seen.has(type)) return { code: "duplicate_extension", at };
    seen.add(type);
    extensions.push({ type, length: data.left });
    const code = read(type, data);
    if (code !== undefined) return { code, at };
    if (data.short) return { code: "truncated", at };
    if (data.left > 0) return { code: "trailing_bytes", at };
  }
  if (block.short) return { code: "truncated", at: block.at };
  return extensions;
}
