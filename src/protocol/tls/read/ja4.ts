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
  const ciphers = hello.cipherSuites.filter(isKept);
  const types = hello.extensions.map(({ type }) => type).filter(isKept);
  const start =
    "t" +
    markVersion(hello) +
    (types.includes(EXTENSION.serverName) ? "d" : "i") +
    formatCount(ciphers.length) +
    formatCount(types.length) +
    markAlpn(hello.alpn[0]);
  const suites = formatCodes(Uint16Array.from(ciphers).sort());
  const others = types.filter((type) => type !== EXTENSION.serverName && type !== EXTENSION.alpn);
  const extensions = formatCodes(Uint16Array.from(others).sort());
  const signatures = formatCodes(Uint16Array.from(hello.signatureAlgorithms.filter(isKept)));
  const rest = signatures === "" ? extensions : `${extensions}_${signatures}`;
  return `${start}_${hashShort(suites, suites)}_${hashShort(extensions, rest)}`;
}

function isKept(code: number): boolean {
  return !isGrease(code);
}

/** Four hexadecimal digits for each code, with commas between. */
function formatCodes(codes: Uint16Array): string {
  // Machines that Bun runs on have the lower octet first.
  const octets = Buffer.from(codes.buffer).swap16();
  return octets.toString("hex").replace(/.{4}(?!$)/g, "$&,");
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
