import { X509Certificate } from "node:crypto";
import { type DerValue, DerTag, enterDer, readDer } from "../protocol/tls/read/der.ts";

/** Tags of TBSCertificate and of AuthorityKeyIdentifier (RFC 5280 §4.1, §4.2.1.1). */
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const INTEGER = 0x02;
const KEY_IDENTIFIER = 0x80;
/** 2.5.29.35. */
const AUTHORITY_KEY_IDENTIFIER = "551d23";

/**
 * The identifier of a certificate in requests about its renewal (RFC 9773 §4.1):
 * the key identifier of its issuer and its serial number, as they are in its
 * bytes. Undefined when one of them is missing.
 */
export function readRenewalId(pem: string): string | undefined {
  const [toBeSigned] = enterDer(new X509Certificate(pem).raw, DerTag.sequence) ?? [];
  const fields = (toBeSigned && readDer(toBeSigned.content)) ?? [];
  const serial = fields[fields[0]?.tag === VERSION ? 1 : 0];
  const extensions = fields.find(({ tag }) => tag === EXTENSIONS);
  const issuer = extensions && findKeyIdentifier(extensions.content);
  if (serial?.tag !== INTEGER || issuer === undefined) return undefined;
  return `${encode(issuer.content)}.${encode(serial.content)}`;
}

function findKeyIdentifier(content: Uint8Array): DerValue | undefined {
  for (const extension of enterDer(content, DerTag.sequence) ?? []) {
    const parts = readDer(extension.content) ?? [];
    // Criticality, which is between them, may be absent.
    const [type, value] = [parts[0], parts.at(-1)];
    if (
      type === undefined ||
      value === undefined ||
      Buffer.from(type.content).toString("hex") !== AUTHORITY_KEY_IDENTIFIER
    )
      continue;
    return enterDer(value.content, DerTag.sequence)?.find(({ tag }) => tag === KEY_IDENTIFIER);
  }
  return undefined;
}

function encode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64url");
}
