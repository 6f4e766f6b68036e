import { type AlternativeName, readCertificateNames } from "../../protocol/tls/read/certificate-names.ts";

/** The kinds of names that identify a client, the most personal first. */
const KINDS: readonly AlternativeName["kind"][] = ["email", "dns", "uri"];

/** Bytes of UTF-8 in a user name, as for users with passwords. */
const MAX_USER_BYTES = 255;

/** Controls, formats such as bidirectional marks, halves of pairs, code points without a meaning, ends of lines. */
const UNUSABLE = /[\p{C}\p{Zl}\p{Zp}]|^\s|\s$/u;

/**
 * Reads the user's name from a client's verified certificate (DER): the first
 * e-mail address, DNS name or URI among its alternative names, in this order of
 * kinds (RFC 5280 §4.2.1.6), or else its only common name.
 *
 * Undefined when there is none, and when any of these names is unusable: the
 * authority meant that name, not the next one.
 */
export function readClientIdentity(certificate: Uint8Array): string | undefined {
  const names = readCertificateNames(certificate);
  if (names === undefined) return undefined;
  const considered = names.alternative.filter(({ kind }) => KINDS.includes(kind));
  if (considered.length === 0) {
    // Of several it is unclear which one counts.
    const [common] = names.common.length === 1 ? names.common : [];
    return common !== undefined && isUsable(common) ? common : undefined;
  }
  const texts = considered.map(({ bytes }) => decodeAscii(bytes));
  if (texts.some((text) => text === undefined || !isUsable(text))) return undefined;
  const best = KINDS.find((kind) => considered.some((name) => name.kind === kind));
  return texts[considered.findIndex(({ kind }) => kind === best)];
}

function isUsable(text: string): boolean {
  return text !== "" && Buffer.byteLength(text) <= MAX_USER_BYTES && !UNUSABLE.test(text);
}

function decodeAscii(bytes: Uint8Array): string | undefined {
  return bytes.every((byte) => byte < 0x80) ? Buffer.from(bytes).toString("latin1") : undefined;
}
