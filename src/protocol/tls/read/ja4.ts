import { hash } from "node:crypto";
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
  return `${start}_${hashShort(ciphers, ciphers)}_${hashShort(extensions, rest)}`;
}

/** The same with the lists themselves instead of their hashes (`JA4_r`). */
export function computeJa4Raw(hello: ClientHello): string {
  const { start, ciphers, rest } = listParts(hello);
  return `${start}_${ciphers}_${rest}`;
}

/** What a fingerprint is made of. */
interface Ja4Parts {
  readonly start: string;
  readonly ciphers: string;
  readonly extensions: string;
  /** The extensions again, and after an underscore the signature algorithms, if there are any. */
  readonly rest: string;
}

function listParts(hello: ClientHello): Ja4Parts {
  const ciphers = hello.cipherSuites.filter(isKept);
  const types = hello.extensions.map(({ type }) => type).filter(isKept);
  const start =
    "t" +
    markVersion(hello) +
    (types.includes(EXTENSION.serverName) ? "d" : "i") +
    formatCount(ciphers.length) +
    formatCount(types.length) +
    markAlpn(hello.alpn[0]);
  const others = types.filter((type) => type !== EXTENSION.serverName && type !== EXTENSION.alpn);
  const extensions = others.map(formatCode).sort().join(",");
  const signatures = hello.signatureAlgorithms.filter(isKept).map(formatCode).join(",");
  return {
    start,
    ciphers: ciphers.map(formatCode).sort().join(","),
    extensions,
    rest: signatures === "" ? extensions : `${extensions}_${signatures}`,
  };
}

function isKept(code: number): boolean {
  return !isGrease(code);
}

/** Four hexadecimal digits. */
function formatCode(code: number): string {
  return code.toString(16).padStart(4, "0");
}

/** Two decimal digits. */
function formatCount(count: number): string {
  return String(Math.min(count, 99)).padStart(2, "0");
}

function markVersion(hello: ClientHello): string {
  const offered = hello.supportedVersions.filter(isKept);
  const version = offered.length > 0 ? Math.max(...offered) : hello.legacyVersion;
  return VERSION_MARKS.get(version) ?? "00";
}

/** First and last character of the first protocol; of its hexadecimal form when either is not alphanumeric. */
function markAlpn(protocol: string | undefined): string {
  if (!protocol) return "00";
  const marks = protocol.charAt(0) + protocol.charAt(protocol.length - 1);
  if (/^[0-9A-Za-z]{2}$/.test(marks)) return marks;
  const hex = Buffer.from(marks, "latin1").toString("hex");
  return hex.charAt(0) + hex.charAt(3);
}

/** The hash of `text`; a fixed one when `list`, which it is about, is empty. */
function hashShort(list: string, text: string): string {
  return list === "" ? EMPTY_HASH : hash("sha256", text, "hex").slice(0, 12);
}
