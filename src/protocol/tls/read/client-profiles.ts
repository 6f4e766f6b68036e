import { readUint16 } from "./byte-reader.ts";
import type { ClientHello } from "./client-hello.ts";
import { EXTENSION } from "./extension.ts";
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
const MAX_EXTENSIONS = 64;
const EXTENSION_HEADER = 4;

/**
 * The profiles of hellos, cached by the codes that they are made of: clients
 * are of few kinds, so nearly every profile was computed before. Bounded: it
 * starts anew when it is full.
 */
export class ClientProfiles {
  readonly #cache = new Map<number, { readonly codes: Uint16Array; readonly profile: ClientProfile }>();
  /** The codes of the hello at hand. */
  readonly #codes = new Uint16Array(MAX_CODES);
  #count = 0;

  find(hello: ClientHello): ClientProfile {
    if (!this.#listCodes(hello)) return createProfile(hello);
    let key = this.#count;
    for (let index = 0; index < this.#count; index += 1) key = (Math.imul(key, 31) + (this.#codes[index] ?? 0)) | 0;
    const found = this.#cache.get(key);
    if (found !== undefined && this.#isSame(found.codes)) return found.profile;
    const profile = createProfile(hello);
    if (this.#cache.size >= MAX_PROFILES) this.#cache.clear();
    this.#cache.set(key, { codes: this.#codes.slice(0, this.#count), profile });
    return profile;
  }

  /** Whether there are few enough. */
  #listCodes({ bytes, start, end, ciphersAt, extensionsAt }: ClientHello): boolean {
    this.#count = 0;
    this.#add(readUint16(bytes, start));
    this.#addCodes(bytes, ciphersAt + 2, ciphersAt + 2 + readUint16(bytes, ciphersAt));
    const sizeAt = this.#count;
    this.#count += 1;
    let versionsAt = 0;
    let signaturesAt = 0;
    let alpnAt = 0;
    for (let at = extensionsAt, next = 0; at < end; at = next) {
      const type = readUint16(bytes, at);
      next = findEnd(bytes, at);
      if (this.#count - sizeAt > MAX_EXTENSIONS) return false;
      if (!isGrease(type)) this.#insertSorted(type, sizeAt + 1);
      if (type === EXTENSION.supportedVersions) versionsAt = at;
      else if (type === EXTENSION.signatureAlgorithms) signaturesAt = at;
      else if (type === EXTENSION.alpn) alpnAt = at;
    }
    this.#codes[sizeAt] = this.#count - sizeAt;
    // Always in this order, since some clients shuffle. Absent ones are told by the types.
    if (versionsAt > 0) this.#addCodes(bytes, versionsAt + EXTENSION_HEADER + 1, findEnd(bytes, versionsAt));
    if (signaturesAt > 0) this.#addCodes(bytes, signaturesAt + EXTENSION_HEADER + 2, findEnd(bytes, signaturesAt));
    if (alpnAt > 0)
      for (let at = alpnAt + EXTENSION_HEADER; at < findEnd(bytes, alpnAt) && this.#count < MAX_CODES; at += 1)
        this.#add(bytes[at] ?? 0);
    return this.#count < MAX_CODES;
  }

  /** The codes between two offsets, without GREASE, which is another with every connection. The place before them holds their number. */
  #addCodes(bytes: Uint8Array, start: number, end: number): void {
    const sizeAt = this.#count;
    this.#count += 1;
    for (let at = start; at < end && this.#count < MAX_CODES; at += 2) {
      const code = readUint16(bytes, at);
      if (!isGrease(code)) this.#add(code);
    }
    this.#codes[sizeAt] = this.#count - sizeAt;
  }

  /** A code that does not fit is counted, so that the hello is not cached. */
  #add(code: number): void {
    this.#codes[this.#count] = code;
    this.#count += 1;
  }

  /** Clients that shuffle their extensions are of one kind all the same. */
  #insertSorted(code: number, from: number): void {
    let at = this.#count;
    for (; at > from && (this.#codes[at - 1] ?? 0) > code; at -= 1) this.#codes[at] = this.#codes[at - 1] ?? 0;
    this.#codes[at] = code;
    this.#count += 1;
  }

  #isSame(other: Uint16Array): boolean {
    if (other.length !== this.#count) return false;
    for (let index = 0; index < this.#count; index += 1) if (other[index] !== this.#codes[index]) return false;
    return true;
  }
}

function createProfile(hello: ClientHello): ClientProfile {
  return { ja4: computeJa4(hello), alpn: hello.alpn, earlyData: hello.earlyData };
}

/** The end of an extension that begins at an offset. */
function findEnd(bytes: Uint8Array, at: number): number {
  return at + EXTENSION_HEADER + readUint16(bytes, at + 2);
}
