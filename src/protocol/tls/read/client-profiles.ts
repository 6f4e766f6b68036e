import { readUint16 } from "./byte-reader.ts";
import type { ClientHello } from "./client-hello.ts";
import type { ExtensionBlock } from "./extension.ts";
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
  /** The codes of the last hello, each list behind where it ends. A code that does not fit is counted all the same. */
  readonly #codes = new Uint16Array(MAX_CODES);
  #count = 0;
  /** Whether the hello at hand differs from the one before, whose profile is `#last`. */
  #isOther = true;
  #last: ClientProfile | undefined;

  find(hello: ClientHello): ClientProfile {
    if (hello.extensionBlock.others.length > MAX_OTHERS) return createProfile(hello);
    this.#listCodes(hello);
    if (!this.#isOther && this.#last !== undefined) return this.#last;
    this.#last = this.#count > MAX_CODES ? undefined : this.#look(hello);
    return this.#last ?? createProfile(hello);
  }

  #look(hello: ClientHello): ClientProfile {
    const codes = this.#codes.subarray(0, this.#count);
    let key = 0;
    for (const code of codes) key = (Math.imul(key, 31) + code) | 0;
    const found = this.#cache.get(key);
    if (found !== undefined && isSame(found.codes, codes)) return found.profile;
    const profile = createProfile(hello);
    if (this.#cache.size >= MAX_PROFILES) this.#cache.clear();
    this.#cache.set(key, { codes: codes.slice(), profile });
    return profile;
  }

  /** Always in this order, since some clients shuffle their extensions. */
  #listCodes({ bytes, start, restAt, extensionBlock }: ClientHello): void {
    this.#isOther = false;
    this.#listTypes(extensionBlock);
    this.#addCodes(bytes, start, start + 2);
    this.#addCodes(bytes, restAt + 2, restAt + 2 + readUint16(bytes, restAt));
    this.#addExtension(bytes, extensionBlock.supportedVersionsAt, 1);
    this.#addExtension(bytes, extensionBlock.signatureAlgorithmsAt, 2);
    this.#addAlpn(bytes, extensionBlock.alpnAt);
  }

  #listTypes({ low, high, others }: ExtensionBlock): void {
    this.#set(0, low & 0xffff);
    this.#set(1, low >>> 16);
    this.#set(2, high & 0xffff);
    this.#set(3, high >>> 16);
    const types = sortTypes(others);
    this.#set(4, types.length);
    this.#count = 5;
    for (const type of types) this.#set(this.#count++, type);
  }

  #set(index: number, code: number): void {
    if (this.#codes[index] === code) return;
    this.#codes[index] = code;
    this.#isOther = true;
  }

  /** The codes between two offsets, without GREASE, which is another with every connection. */
  #addCodes(bytes: Uint8Array, start: number, end: number): void {
    const codes = this.#codes;
    const endAt = this.#count;
    let count = endAt + 1;
    let isOther = this.#isOther;
    for (let at = start; at < end; at += 2) {
      const code = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
      // Half of the test first: few codes need the rest.
      if ((code & 0x0f0f) === 0x0a0a && isGrease(code)) continue;
      if (codes[count] !== code) {
        codes[count] = code;
        isOther = true;
      }
      count += 1;
    }
    this.#isOther = isOther;
    this.#count = count;
    this.#set(endAt, count);
  }

  /** The list of codes in the extension with contents at `at`. An absent one is told by the types. */
  #addExtension(bytes: Uint8Array, at: number, lengthSize: 1 | 2): void {
    if (at !== -1) this.#addCodes(bytes, at + lengthSize, at + readUint16(bytes, at - 2));
  }

  #addAlpn(bytes: Uint8Array, at: number): void {
    if (at === -1) return;
    const end = at + readUint16(bytes, at - 2);
    for (let each = at; each < end; each += 1) this.#set(this.#count++, bytes[each] ?? 0);
  }
}

/** Without GREASE, and in an order that does not depend on the client's. */
function sortTypes(types: readonly number[]): readonly number[] {
  const sorted: number[] = [];
  for (const type of types) {
    if (isGrease(type)) continue;
    let at = sorted.length;
    for (; at > 0 && (sorted[at - 1] ?? 0) > type; at -= 1) sorted[at] = sorted[at - 1] ?? 0;
    sorted[at] = type;
  }
  return sorted;
}

function isSame(left: Uint16Array, right: Uint16Array): boolean {
  if (left.length !== right.length) return false;
  for (let index = 0; index < left.length; index += 1) if (left[index] !== right[index]) return false;
  return true;
}

function createProfile(hello: ClientHello): ClientProfile {
  return { ja4: computeJa4(hello), alpn: hello.alpn, earlyData: hello.earlyData };
}
