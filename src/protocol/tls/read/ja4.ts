import { hash } from "node:crypto";
import { decodeLatin1 } from "../../http1/octets.ts";
import type { ClientHello } from "./client-hello.ts";
import { EXTENSION } from "./extension.ts";
import { isGrease } from "./iana.ts";

const VERSION_MARKS: ReadonlyMap<number, string> = new Map([
  [0x0002, "s2"],
  [0x0300, "s3"],
  [0x0301, "10"],
  [0x0302, "11"],
  [0x0303, "12"],
  [0x0304, "13"],
]);
const EMPTY_HASH = "000000000000";

/**
 * JA4 of a client over TCP, `t13d1516h2_8daaf6152771_e5627efa2ab1`, implemented
 * from FoxIO's description of the method
 * (https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md). JA4
 * is under the BSD 3-Clause licence; the other methods of JA4+ are not.
 */
export function computeJa4(hello: ClientHello): string {
  const { start, ciphers, extensions, rest } = listParts(hello);
  const cipherHash = ciphers.length === 0 ? EMPTY_HASH : hashShort(ciphers);
  const restHash = extensions.length === 0 ? EMPTY_HASH : hashShort(rest);
  return `${start}_${cipherHash}_${restHash}`;
}

/** The same with the lists themselves instead of their hashes (`JA4_r`). */
export function computeJa4Raw(hello: ClientHello): string {
  const { start, ciphers, rest } = listParts(hello);
  return `${start}_${decodeLatin1(ciphers, 0, ciphers.length)}_${decodeLatin1(rest, 0, rest.length)}`;
}

/** What a fingerprint is made of. The lists are ASCII already: every connection has them hashed, hardly any has them read. */
interface Ja4Parts {
  readonly start: string;
  readonly ciphers: Uint8Array;
  readonly extensions: Uint8Array;
  /** The extensions again, and after an underscore the signature algorithms, if there are any. */
  readonly rest: Uint8Array;
}

function listParts(hello: ClientHello): Ja4Parts {
  const ciphers = hello.cipherSuites.filter(isKept);
  const types: number[] = [];
  for (const { type } of hello.extensions) if (isKept(type)) types.push(type);
  const start =
    "t" +
    markVersion(hello) +
    (types.includes(EXTENSION.serverName) ? "d" : "i") +
    formatCount(ciphers.length) +
    formatCount(types.length) +
    markAlpn(hello.alpn[0]);
  const others = types.filter((type) => type !== EXTENSION.serverName && type !== EXTENSION.alpn);
  const extensions = writeCodes(Uint16Array.from(others).sort());
  const signatures = writeCodes(hello.signatureAlgorithms.filter(isKept));
  return {
    start,
    ciphers: writeCodes(Uint16Array.from(ciphers).sort()),
    extensions,
    rest: signatures.length === 0 ? extensions : joinLists(extensions, signatures),
  };
}

function isKept(code: number): boolean {
  return !isGrease(code);
}

function markVersion(hello: ClientHello): string {
  const offered = hello.supportedVersions.filter(isKept);
  const version = offered.length > 0 ? Math.max(...offered) : hello.legacyVersion;
  return VERSION_MARKS.get(version) ?? "00";
}

/** Two decimal digits. */
function formatCount(count: number): string {
  return String(Math.min(count, 99)).padStart(2, "0");
}

/** First and last character of the first protocol; of its hexadecimal form when either is not alphanumeric. */
function markAlpn(protocol: string | undefined): string {
  if (!protocol) return "00";
  const first = protocol.charAt(0);
  const last = protocol.charAt(protocol.length - 1);
  if (/^[0-9A-Za-z]{2}$/.test(first + last)) return first + last;
  const firstHex = first.charCodeAt(0).toString(16).padStart(2, "0");
  const lastHex = last.charCodeAt(0).toString(16).padStart(2, "0");
  return firstHex.charAt(0) + lastHex.charAt(1);
}

const COMMA = 0x2c;
const UNDERSCORE = 0x5f;

/** Four hexadecimal digits for each code, with commas between, in ASCII. */
function writeCodes(codes: readonly number[] | Uint16Array): Uint8Array {
  const text = new Uint8Array(Math.max(0, codes.length * 5 - 1));
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] ?? 0;
    const at = index * 5;
    if (at > 0) text[at - 1] = COMMA;
    for (let digit = 0; digit < 4; digit++) text[at + digit] = writeDigit((code >> (12 - digit * 4)) & 0xf);
  }
  return text;
}

/** ASCII of a hexadecimal digit: 0 to 9 from 0x30, a to f from 0x61. */
function writeDigit(digit: number): number {
  return digit < 10 ? 0x30 + digit : 0x57 + digit;
}

function joinLists(left: Uint8Array, right: Uint8Array): Uint8Array {
  const joined = new Uint8Array(left.length + 1 + right.length);
  joined.set(left);
  joined[left.length] = UNDERSCORE;
  joined.set(right, left.length + 1);
  return joined;
}

function hashShort(text: Uint8Array): string {
  return hash("sha256", text, "hex").slice(0, 12);
}
