import { readUint16, type TlsBadCode } from "./byte-reader.ts";
import { EXTENSION, ExtensionChecks } from "./extension.ts";
import { checkItems, checkNumbers, checkSize, countItems, findVectorEnd, SHORT_STRING } from "./vector-checks.ts";

/** The first byte of the `encrypted_client_hello` extension, RFC 9849 §5. */
const ECH_OUTER = 0;
export const ECH_INNER = 1;

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

const PSK_IDENTITY = { before: 0, lengthSize: 2, after: 4 } as const;

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

const checkNothing = checkSize(0);
const checkPayload = checkNumbers(2, 1);

function checkEncryptedClientHello(bytes: Uint8Array, at: number, end: number): TlsBadCode | undefined {
  if (at === end) return "truncated";
  if (bytes[at] === ECH_INNER) return checkNothing(bytes, at + 1, end);
  if (bytes[at] !== ECH_OUTER) return "bad_value";
  // Two numbers of two bytes, one of one byte, the encapsulated key, the payload.
  const keyEnd = findVectorEnd(bytes, at + 6, end);
  return keyEnd === -1 ? "truncated" : checkPayload(bytes, keyEnd, end);
}

const checkNumbers16 = checkNumbers(2, 2);
const checkShortList = checkNumbers(1, 2);
const checkByteList = checkNumbers(1, 1);
const checkProtocols = checkItems(SHORT_STRING);

/** What must hold for the extensions of a ClientHello. */
export const CLIENT_EXTENSIONS = new ExtensionChecks([
  [EXTENSION.serverName, checkServerName],
  [EXTENSION.statusRequest, (_, at, end) => (at < end ? undefined : "truncated")],
  [EXTENSION.supportedGroups, checkNumbers16],
  [EXTENSION.signatureAlgorithms, checkNumbers16],
  [EXTENSION.signatureAlgorithmsCert, checkNumbers16],
  [EXTENSION.delegatedCredential, checkNumbers16],
  [EXTENSION.supportedVersions, checkShortList],
  [EXTENSION.compressCertificate, checkShortList],
  [EXTENSION.ecPointFormats, checkByteList],
  [EXTENSION.pskKeyExchangeModes, checkByteList],
  [EXTENSION.alpn, checkProtocols],
  [EXTENSION.applicationSettings, checkProtocols],
  [EXTENSION.applicationSettingsOld, checkProtocols],
  [EXTENSION.keyShare, checkItems({ before: 2, lengthSize: 2, after: 0 })],
  [EXTENSION.preSharedKey, checkPreSharedKey],
  [EXTENSION.earlyData, checkNothing],
  [EXTENSION.cookie, checkPayload],
  [EXTENSION.recordSizeLimit, checkSize(2)],
  [EXTENSION.encryptedClientHello, checkEncryptedClientHello],
]);
