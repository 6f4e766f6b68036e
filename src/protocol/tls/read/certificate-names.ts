import { type DerValue, DerTag, enterDer, readDer } from "./der.ts";

/** The names in a certificate, as they are in its bytes. */
export interface CertificateNames {
  /** Subject alternative names (RFC 5280 §4.2.1.6) in their order. Of other kinds there are only the places. */
  readonly alternative: readonly AlternativeName[];
  /** Common names of the subject in their order; undefined for one that is no text. */
  readonly common: readonly (string | undefined)[];
}

export interface AlternativeName {
  readonly kind: "email" | "dns" | "uri" | "ip" | "other";
  /** ASCII of `email`, `dns` and `uri`; the 4 or 16 bytes of `ip`. Nothing of it was judged. */
  readonly bytes: Uint8Array;
}

const kinds: Readonly<Record<number, AlternativeName["kind"]>> = {
  0x81: "email",
  0x82: "dns",
  0x86: "uri",
  0x87: "ip",
};

/** `[0] EXPLICIT` and `[3] EXPLICIT` of TBSCertificate. */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;

/** 2.5.29.17 and 2.5.4.3. */
const SUBJECT_ALTERNATIVE_NAME = Uint8Array.of(0x55, 0x1d, 0x11);
const COMMON_NAME = Uint8Array.of(0x55, 0x04, 0x03);

/**
 * Reads the names of a certificate from its DER, where no name can be taken for
 * another one, as it can in a text. Undefined when it is no certificate, or has
 * its alternative names twice (RFC 5280 §4.2).
 */
export function readCertificateNames(der: Uint8Array): CertificateNames | undefined {
  const [toBeSigned] = enterDer(der, DerTag.sequence) ?? [];
  const fields = toBeSigned?.tag === DerTag.sequence ? readDer(toBeSigned.content) : undefined;
  if (fields === undefined) return undefined;
  // Version, serial number, algorithm, issuer, validity, subject: the first one may be absent.
  const subject = fields[fields[0]?.tag === VERSION ? 5 : 4];
  const common = subject?.tag === DerTag.sequence ? readCommonNames(subject.content) : undefined;
  const extensions = fields.filter(({ tag }) => tag === EXTENSIONS);
  if (common === undefined || extensions.length > 1) return undefined;
  const alternative = extensions[0] === undefined ? [] : readAlternativeNames(extensions[0].content);
  return alternative && { alternative, common };
}

/** RDNSequence: a sequence of sets of type and value. */
function readCommonNames(content: Uint8Array): (string | undefined)[] | undefined {
  const names: (string | undefined)[] = [];
  for (const set of readDer(content) ?? [BROKEN]) {
    for (const pair of (set.tag === DerTag.set ? readDer(set.content) : undefined) ?? [BROKEN]) {
      const [type, value, ...more] = (pair.tag === DerTag.sequence ? readDer(pair.content) : undefined) ?? [];
      if (type === undefined || value === undefined || more.length > 0) return undefined;
      if (isSame(type, COMMON_NAME)) names.push(decodeText(value));
    }
  }
  return names;
}

/** Stands for what cannot be read, and is no value of any kind. */
const BROKEN: DerValue = { tag: 0, content: new Uint8Array(0) };

function readAlternativeNames(content: Uint8Array): AlternativeName[] | undefined {
  let found: AlternativeName[] | undefined;
  for (const extension of enterDer(content, DerTag.sequence) ?? [BROKEN]) {
    const parts = extension.tag === DerTag.sequence ? readDer(extension.content) : undefined;
    const [type] = parts ?? [];
    // Criticality, which is between them, may be absent.
    const value = parts?.at(-1);
    if (type === undefined || value === undefined) return undefined;
    if (!isSame(type, SUBJECT_ALTERNATIVE_NAME)) continue;
    const names = value.tag === DerTag.octetString ? enterDer(value.content, DerTag.sequence) : undefined;
    if (names === undefined || found !== undefined) return undefined;
    found = names.map(({ tag, content: bytes }) => ({ kind: kinds[tag] ?? "other", bytes }));
  }
  return found ?? [];
}

function isSame({ tag, content }: DerValue, id: Uint8Array): boolean {
  return tag === DerTag.objectId && content.length === id.length && content.every((byte, at) => byte === id[at]);
}

/** The text of a DirectoryString; undefined when its bytes are none of its kind. */
function decodeText({ tag, content }: DerValue): string | undefined {
  switch (tag) {
    case DerTag.utf8String:
      return decode(content, "utf-8");
    case DerTag.printableString:
    case DerTag.ia5String:
    // Nobody agrees on what the other half of Teletex is.
    case DerTag.teletexString:
      return content.every((byte) => byte < 0x80) ? decode(content, "utf-8") : undefined;
    case DerTag.bmpString:
      return content.length % 2 === 0 ? decode(content, "utf-16be") : undefined;
    case DerTag.universalString:
      return decodeUtf32(content);
    default:
      return undefined;
  }
}

function decode(bytes: Uint8Array, encoding: "utf-8" | "utf-16be"): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function decodeUtf32(bytes: Uint8Array): string | undefined {
  if (bytes.length % 4 !== 0) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let text = "";
  for (let at = 0; at < bytes.length; at += 4) {
    const code = view.getUint32(at);
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return undefined;
    text += String.fromCodePoint(code);
  }
  return text;
}
