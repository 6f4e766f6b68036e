import { ByteReader, readNumbers, readStrings, readUint16, type TlsBadCode } from "./byte-reader.ts";
import type { CheckContents } from "./vector-checks.ts";

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
  padding: 21,
  compressCertificate: 27,
  recordSizeLimit: 28,
  delegatedCredential: 34,
  sessionTicket: 35,
  preSharedKey: 41,
  earlyData: 42,
  supportedVersions: 43,
  cookie: 44,
  pskKeyExchangeModes: 45,
  signatureAlgorithmsCert: 50,
  keyShare: 51,
  applicationSettingsOld: 17513,
  applicationSettings: 17613,
  encryptedClientHello: 0xfe0d,
} as const;

/** Types below this one have a bit in a mask. */
const LOW_TYPES = 64;

/** What is wrong with a block of extensions, and the offset of the one that is wrong. */
export interface ExtensionFault {
  readonly code: TlsBadCode;
  readonly at: number;
}

/** What must hold for the contents of one type. */
export type ExtensionCheck = readonly [type: number, check: CheckContents];

/** What must hold for the contents of each type. Unknown types may contain anything. */
export class ExtensionChecks {
  /** An array for the types below 64, since nearly all are: it is looked at for each extension of each hello. */
  readonly #low: (CheckContents | undefined)[] = Array.from({ length: LOW_TYPES });
  readonly #others = new Map<number, CheckContents>();

  constructor(checks: readonly ExtensionCheck[]) {
    for (const [type, check] of checks)
      if (type < LOW_TYPES) this.#low[type] = check;
      else this.#others.set(type, check);
  }

  find(type: number): CheckContents | undefined {
    return type < LOW_TYPES ? this.#low[type] : this.#others.get(type);
  }
}

const HEADER_BYTES = 4;
/** Types from which on a set finds repeated ones sooner than a list. */
const MANY = 64;
const NO_TYPES: readonly number[] = [];

/** The extensions of one message: a view of bytes, valid only as long as they are. `check` comes before all else. */
export class ExtensionBlock {
  readonly bytes: Uint8Array;
  /** Offset of the first extension. */
  readonly start: number;
  /** Offset after the last one. */
  readonly end: number;
  /** The types that are there: bit n for type n, and in `high` for type 32 + n. */
  low = 0;
  high = 0;
  /** Offsets of the contents that every look at a hello needs; -1 for what is absent. */
  serverNameAt = -1;
  signatureAlgorithmsAt = -1;
  alpnAt = -1;
  supportedVersionsAt = -1;
  #others: number[] | undefined;
  /** The same types, once they are many. */
  #many: Set<number> | undefined;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }

  /** The types from 64 on, in wire order. */
  get others(): readonly number[] {
    return this.#others ?? NO_TYPES;
  }

  /** Checks that the extensions fill the block, that no type is repeated, and the contents. Gives the first fault. */
  check(checks: ExtensionChecks): ExtensionFault | undefined {
    const { bytes, end } = this;
    for (let at = this.start, next = 0; at < end; at = next) {
      const contentsAt = at + HEADER_BYTES;
      next = contentsAt + readUint16(bytes, at + 2);
      if (contentsAt > end || next > end) return { code: "truncated", at };
      const type = readUint16(bytes, at);
      if (!this.#note(type, contentsAt)) return { code: "duplicate_extension", at };
      const code = checks.find(type)?.(bytes, contentsAt, next);
      if (code !== undefined) return { code, at };
    }
    return undefined;
  }

  /** Offset of the contents of the extension of a type; -1 for none. */
  find(type: number): number {
    if (type < LOW_TYPES && ((type < 32 ? this.low : this.high) & (1 << type)) === 0) return -1;
    const { bytes, end } = this;
    for (let at = this.start; at < end; at += HEADER_BYTES + readUint16(bytes, at + 2))
      if (readUint16(bytes, at) === type) return at + HEADER_BYTES;
    return -1;
  }

  has(type: number): boolean {
    return this.find(type) !== -1;
  }

  /** The contents of an extension; undefined when it is absent. */
  open(type: number): ByteReader | undefined {
    const at = this.find(type);
    return at === -1 ? undefined : new ByteReader(this.bytes, at, at + readUint16(this.bytes, at - 2));
  }

  /** The numbers of an extension that is a vector of them; none when it is absent. */
  readNumbers(type: number, lengthSize: 1 | 2, itemSize: 1 | 2): readonly number[] {
    const contents = this.open(type);
    return contents === undefined ? [] : readNumbers(contents, lengthSize, itemSize);
  }

  /** The same for names of protocols, one character for each byte. */
  readStrings(type: number): readonly string[] {
    const contents = this.open(type);
    return contents === undefined ? [] : readStrings(contents, 2, 1);
  }

  /** The extensions in wire order. */
  list(): readonly TlsExtension[] {
    const { bytes, end } = this;
    const extensions: TlsExtension[] = [];
    for (let at = this.start, length = 0; at < end; at += HEADER_BYTES + length) {
      length = readUint16(bytes, at + 2);
      extensions.push({ type: readUint16(bytes, at), length });
    }
    return extensions;
  }

  /** Notes the type of the extension with contents at `at`. Gives whether it is the first of that type. */
  #note(type: number, at: number): boolean {
    const { low, high } = this;
    if (type < 32) {
      if (type === EXTENSION.serverName) this.serverNameAt = at;
      else if (type === EXTENSION.signatureAlgorithms) this.signatureAlgorithmsAt = at;
      else if (type === EXTENSION.alpn) this.alpnAt = at;
      return (this.low |= 1 << type) !== low;
    }
    if (type < LOW_TYPES) {
      if (type === EXTENSION.supportedVersions) this.supportedVersionsAt = at;
      return (this.high |= 1 << type) !== high;
    }
    this.#others ??= [];
    if (this.#others.length >= MANY) {
      this.#many ??= new Set(this.#others);
      if (this.#many.has(type)) return false;
      this.#many.add(type);
    } else if (this.#others.includes(type)) return false;
    this.#others.push(type);
    return true;
  }
}

/** Reads the extensions at the end of a message, which may also end before them. Gives them, or what is wrong with them and where. */
export function readExtensions(reader: ByteReader, checks: ExtensionChecks): ExtensionBlock | ExtensionFault {
  const { bytes } = reader;
  if (reader.left === 0) return new ExtensionBlock(bytes, reader.at, reader.at);
  const length = reader.uint(2);
  const start = reader.at;
  if (!reader.skip(length)) return { code: "truncated", at: start };
  const block = new ExtensionBlock(bytes, start, reader.at);
  return block.check(checks) ?? block;
}
