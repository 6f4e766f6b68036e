import { readUint16 } from "./byte-reader.ts";
import type { ClientHello } from "./client-hello.ts";
import { EXTENSION, type ExtensionBlock } from "./extension.ts";
import { isGrease } from "./iana.ts";
import { computeJa4 } from "./ja4.ts";

/** What the programs of one kind have in common in their hellos. Shared between connections. */
export interface ClientProfile {
  readonly ja4: string;
  readonly alpn: readonly string[];
  readonly earlyData: boolean;
}

const MAX_PROFILES = 1024;
/** Numbers that a profile is made of; no sensible client has more. */
const MAX_CODES = 512;
/** Types of extensions from 64 on, which are sorted. */
const MAX_OTHERS = 64;

/**
 * The profiles of hellos, cached by the codes that they are made of: clients
 * are of few kinds, so nearly every profile was computed before. Bounded: it
 * starts anew when it is full.
 */
export class ClientProfiles {
  readonly #cache = new Map<number, { readonly codes: Uint16Array; readonly profile: ClientProfile }>();
  /** The codes of the hello at hand, each list behind its length. A code that does not fit is counted all the same. */
  readonly #codes = new Uint16Array(MAX_CODES);
  #count = 0;

  find(hello: ClientHello): ClientProfile {
    this.#listCodes(hello);
    if (this.#count > MAX_CODES || hello.extensionBlock.others.length > MAX_OTHERS) return createProfile(hello);
    const key = this.#hash();
    const found = this.#cache.get(key);
    if (found !== undefined && this.#isSame(found.codes)) return found.profile;
    const profile = createProfile(hello);
    if (this.#cache.size >= MAX_PROFILES) this.#cache.clear();
    this.#cache.set(key, { codes: this.#codes.slice(0, this.#count), profile });
    return profile;
  }

  /** Always in this order, since some clients shuffle their extensions. */
  #listCodes({ bytes, start, restAt, extensionBlock }: ClientHello): void {
    const { low, high, others } = extensionBlock;
    this.#addTypes(low, high, others.length > MAX_OTHERS ? [] : others);
    // The version, and then the cipher suites behind their length.
    this.#addCodes(bytes, start, start + 2);
    this.#addCodes(bytes, restAt + 2, restAt + 2 + readUint16(bytes, restAt));
    this.#addExtension(extensionBlock, EXTENSION.supportedVersions, 1);
    this.#addExtension(extensionBlock, EXTENSION.signatureAlgorithms, 2);
    this.#addAlpn(extensionBlock);
  }

  #addTypes(low: number, high: number, others: readonly number[]): void {
    const codes = this.#codes;
    codes[0] = low;
    codes[1] = low >>> 16;
    codes[2] = high;
    codes[3] = high >>> 16;
    let count = 5;
    for (const type of others) {
      if (isGrease(type)) continue;
      let at = count;
      for (; at > 5 && (codes[at - 1] ?? 0) > type; at -= 1) codes[at] = codes[at - 1] ?? 0;
      codes[at] = type;
      count += 1;
    }
    codes[4] = count;
    this.#count = count;
  }

  /** The codes between two offsets, without GREASE, which is another with every connection. */
  #addCodes(bytes: Uint8Array, start: number, end: number): void {
    const codes = this.#codes;
    const sizeAt = this.#count;
    let count = sizeAt + 1;
    for (let at = start; at < end; at += 2) {
      const code = readUint16(bytes, at);
      if (isGrease(code)) continue;
      codes[count] = code;
      count += 1;
    }
    codes[sizeAt] = count;
    this.#count = count;
  }

  /** The list of codes in an extension. An absent one is told by the types. */
  #addExtension(block: ExtensionBlock, type: number, lengthSize: 1 | 2): void {
    const at = block.find(type);
    if (at !== -1) this.#addCodes(block.bytes, at + lengthSize, at + readUint16(block.bytes, at - 2));
  }

  #addAlpn(block: ExtensionBlock): void {
    const at = block.find(EXTENSION.alpn);
    if (at === -1) return;
    const codes = this.#codes;
    const { bytes } = block;
    const end = at + readUint16(bytes, at - 2);
    let count = this.#count;
    for (let each = at; each < end; each += 1) codes[count++] = bytes[each] ?? 0;
    this.#count = count;
  }

  #hash(): number {
    const codes = this.#codes;
    const count = this.#count;
    let hash = count;
    for (let index = 0; index < count; index += 1) hash = (Math.imul(hash, 31) + (codes[index] ?? 0)) | 0;
    return hash;
  }

  #isSame(other: Uint16Array): boolean {
    const codes = this.#codes;
    const count = this.#count;
    if (other.length !== count) return false;
    for (let index = 0; index < count; index += 1) if (other[index] !== codes[index]) return false;
    return true;
  }
}

function createProfile(hello: ClientHello): ClientProfile {
  return { ja4: computeJa4(hello), alpn: hello.alpn, earlyData: hello.earlyData };
}
