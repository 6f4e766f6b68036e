import { readUint16, type TlsBadCode } from "./byte-reader.ts";
import { EXTENSION } from "./extension.ts";
import {
  checkItems,
  checkNumbers,
  checkSize,
  countItems,
  findVectorEnd,
  type ItemForm,
  SHORT_STRING,
} from "./vector-checks.ts";

/** The first byte of the `encrypted_client_hello` extension, RFC 9849 §5. */
const ECH_OUTER = 0;
export const ECH_INNER = 1;

const KEY_SHARE: ItemForm = { before: 2, lengthSize: 2, after: 0 };
const PSK_IDENTITY: ItemForm = { before: 0, lengthSize: 2, after: 4 };

/** Checks the contents of one extension of a ClientHello, from `at` to `end`. Unknown ones may contain anything. */
export function checkClientExtension(type: number, bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  switch (type) {
    case EXTENSION.serverName:
      return checkServerName(bytes, at, end);
    case EXTENSION.statusRequest:
      return at < end ? undefined : "truncated";
    case EXTENSION.supportedGroups:
    case EXTENSION.signatureAlgorithms:
    case EXTENSION.signatureAlgorithmsCert:
    case EXTENSION.delegatedCredential:
      return checkNumbers(bytes, at, end, 2, 2);
    case EXTENSION.supportedVersions:
    case EXTENSION.compressCertificate:
      return checkNumbers(bytes, at, end, 1, 2);
    case EXTENSION.ecPointFormats:
    case EXTENSION.pskKeyExchangeModes:
      return checkNumbers(bytes, at, end, 1, 1);
    case EXTENSION.alpn:
    case EXTENSION.applicationSettings:
    case EXTENSION.applicationSettingsOld:
      return checkItems(bytes, at, end, SHORT_STRING);
    case EXTENSION.keyShare:
      return checkItems(bytes, at, end, KEY_SHARE);
    case EXTENSION.preSharedKey:
      return checkPreSharedKey(bytes, at, end);
    case EXTENSION.earlyData:
      return checkSize(at, end, 0);
    case EXTENSION.cookie:
      return checkNumbers(bytes, at, end, 2, 1);
    case EXTENSION.recordSizeLimit:
      return checkSize(at, end, 2);
    case EXTENSION.encryptedClientHello:
      return checkEncryptedClientHello(bytes, at, end);
    default:
      return undefined;
  }
}

/** RFC 6066 §3: a list of names with at most one of each type, of which only `host_name` was ever defined. */
function checkServerName(bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  const listEnd = findVectorEnd(bytes, at, end);
  const nameAt = at + 5;
  if (listEnd <= nameAt || bytes[at + 2] !== 0 || nameAt + readUint16(bytes, at + 3) !== listEnd)
    return "bad_server_name";
  for (let each = nameAt; each < listEnd; each += 1) {
    const octet = bytes[each] ?? 0;
    if (octet <= 0x20 || octet >= 0x7f) return "bad_server_name";
  }
  return listEnd < end ? "trailing_bytes" : undefined;
}

/** RFC 8446 §4.2.11: identities, and as many binders. */
function checkPreSharedKey(bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  const identitiesEnd = findVectorEnd(bytes, at, end);
  if (identitiesEnd === -1) return "truncated";
  const bindersEnd = findVectorEnd(bytes, identitiesEnd, end);
  if (bindersEnd === -1) return "truncated";
  const identities = countItems(bytes, at + 2, identitiesEnd, PSK_IDENTITY);
  const binders = countItems(bytes, identitiesEnd + 2, bindersEnd, SHORT_STRING);
  if (identities === -1 || identities !== binders) return "truncated";
  return bindersEnd < end ? "trailing_bytes" : undefined;
}

function checkEncryptedClientHello(bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  if (at === end) return "truncated";
  if (bytes[at] === ECH_INNER) return checkSize(at + 1, end, 0);
  if (bytes[at] !== ECH_OUTER) return "bad_value";
  // Two numbers of two bytes, one of one byte, the encapsulated key, the payload.
  const keyEnd = findVectorEnd(bytes, at + 6, end);
  return keyEnd === -1 ? "truncated" : checkNumbers(bytes, keyEnd, end, 2, 1);
}
