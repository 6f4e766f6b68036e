import { ByteReader, readUint16, type TlsBadCode } from "./byte-reader.ts";

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

/** What is wrong with a block of extensions, and the offset of the one that is wrong. */
export interface ExtensionFault {
  readonly code: TlsBadCode;
  readonly at: number;
}

/** Looks at the contents of one extension, from `at` to `end`, and gives what is wrong with them. */
export type CheckExtension = (type: number, bytes: Uint8Array, at: number, end: number) => TlsBadCode | undefined;

const HEADER_BYTES = 4;
/** Extensions from which on a set finds repeated types sooner than a look at those before. */
const MANY = 64;

/** Walks over the extensions that fill the bytes from `start` to `end`, and calls `check` for each. Gives the first fault. */
export function checkExtensions(
  bytes: Uint8Array,
  start: number,
  end: number,
  check: CheckExtension,
): ExtensionFault | undefined {
  // A bit for each type below 64, which most are.
  let low = 0;
  let high = 0;
  let count = 0;
  let many: Set<number> | undefined;
  for (let at = start, next = 0; at < end; at = next) {
    const data = at + HEADER_BYTES;
    next = data + readUint16(bytes, at + 2);
    if (data > end || next > end) return { code: "truncated", at };
    const type = readUint16(bytes, at);
    let isRepeated: boolean;
    if (type < 32) {
      isRepeated = (low & (1 << type)) !== 0;
      low |= 1 << type;
    } else if (type < 64) {
      isRepeated = (high & (1 << (type & 31))) !== 0;
      high |= 1 << (type & 31);
    } else if (count < MANY) isRepeated = findExtension(bytes, start, at, type) !== -1;
    else {
      many ??= new Set(listExtensions(bytes, start, at).map((extension) => extension.type));
      isRepeated = many.has(type);
      many.add(type);
    }
    count += 1;
    if (isRepeated) return { code: "duplicate_extension", at };
    const code = check(type, bytes, data, next);
    if (code !== undefined) return { code, at };
  }
  return undefined;
}

/** Offset of the contents of the extension of a type, among those that fill the bytes from `start` to `end` and were checked; -1 for none. */
export function findExtension(bytes: Uint8Array, start: number, end: number, type: number): number {
  for (let at = start; at < end; at += HEADER_BYTES + readUint16(bytes, at + 2))
    if (readUint16(bytes, at) === type) return at + HEADER_BYTES;
  return -1;
}

/** Lists extensions that were checked, in wire order. */
export function listExtensions(bytes: Uint8Array, start: number, end: number): readonly TlsExtension[] {
  const extensions: TlsExtension[] = [];
  for (let at = start, length = 0; at < end; at += HEADER_BYTES + length) {
    length = readUint16(bytes, at + 2);
    extensions.push({ type: readUint16(bytes, at), length });
  }
  return extensions;
}

/** Reads the contents of one extension; the word for what is wrong with its value, or nothing. It need not check that all was there and all was read. */
export type ReadExtension = (type: number, data: ByteReader) => TlsBadCode | undefined;

/**
 * Reads the extensions at the end of a message, calling `read` for each; a
 * message may end before them. Gives the list in wire order, or what is wrong
 * with it and where.
 */
export function readExtensions(reader: ByteReader, read: ReadExtension): readonly TlsExtension[] | ExtensionFault {
  if (reader.left === 0) return [];
  const block = reader.vector(2);
  const fault = checkExtensions(block.bytes, block.at, block.end, (type, bytes, at, end) => {
    const data = new ByteReader(bytes, at, end);
    const code = read(type, data);
    if (code !== undefined) return code;
    if (data.short) return "truncated";
    return data.left > 0 ? "trailing_bytes" : undefined;
  });
  if (fault !== undefined) return fault;
  return block.short ? { code: "truncated", at: block.at } : listExtensions(block.bytes, block.at, block.end);
}
