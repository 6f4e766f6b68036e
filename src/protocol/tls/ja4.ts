import { createHash } from "node:crypto";
import type { ClientHello } from "./client-hello.ts";
import { EXTENSION } from "./extension.ts";
import { isGrease } from "./iana.ts";

/** A JA4 fingerprint. */
export interface Ja4 {
  /** `t13d1516h2_8daaf6152771_e5627efa2ab1`: what clients are known by. */
  readonly hash: string;
  /** The same with the lists instead of their hashes (`JA4_r`). */
  readonly raw: string;
}

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
 * JA4 of a client over TCP, implemented from FoxIO's description of the method
 * (https://github.com/FoxIO-LLC/ja4/blob/main/technical_details/JA4.md). JA4
 * is under the BSD 3-Clause licence; the other methods of JA4+ are not.
 */
export function computeJa4(hello: ClientHello): Ja4 {
  const ciphers = hello.cipherSuites.filter(isKept);
  const types = hello.extensions.map(({ type }) => type).filter(isKept);
  const start =
    "t" +
    markVersion(hello) +
    (types.includes(EXTENSION.serverName) ? "d" : "i") +
    formatCount(ciphers.length) +
    formatCount(types.length) +
    markAlpn(hello.alpn[0]);
  const cipherList = ciphers.map(formatCode).sort().join(",");
  const extensionList = types
    .filter((type) => type !== EXTENSION.serverName && type !== EXTENSION.alpn)
    .map(formatCode)
    .sort()
    .join(",");
  const signatures = hello.signatureAlgorithms.filter(isKept).map(formatCode);
  const rest = signatures.length > 0 ? `${extensionList}_${signatures.join(",")}` : extensionList;
  return {
    hash: `${start}_${hashList(cipherList, cipherList)}_${hashList(extensionList, rest)}`,
    raw: `${start}_${cipherList}_${rest}`,
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

function formatCode(code: number): string {
  return code.toString(16).padStart(4, "0");
}

function hashList(list: string, hashed: string): string {
  if (list === "") return EMPTY_HASH;
  return createHash("sha256").update(hashed).digest("hex").slice(0, 12);
}
