import { createFieldSectionScan, scanFieldSection } from "./field-section.ts";
import type { HeadLimits } from "./head-parser.ts";
import { octetClass, PLAIN_AUTHORITY, PLAIN_PATH } from "./octets.ts";
import { createNameTable, encodeLower, isBlank, isValue, nameField } from "./plain-fields.ts";

/**
 * The head of a GET for an `http` URI in absolute-form, in version 1.1, that has
 * nothing in it but what most requests have, so that its octets can go on as they
 * are, less the lines that are for one hop only. There is no body, and another
 * request may follow. All numbers are offsets.
 */
export interface PlainRequest {
  /** The authority, which Host repeats, is from `AUTHORITY_START` to here; the path and query that follow are not empty. */
  readonly authorityEnd: number;
  readonly pathEnd: number;
  /** The value of the one Proxy-Authorization; both 0 when there is none. */
  readonly credentialsFrom: number;
  readonly credentialsTo: number;
  /** The fields that go on, in pairs: from (inclusive), to (exclusive). Host is not among them, nor the empty line. */
  readonly spans: readonly number[];
  /** Octets of the head, the empty line included. */
  readonly used: number;
}

const start = Uint8Array.from("GET http://", (character) => character.charCodeAt(0));
const version = Uint8Array.from(" HTTP/1.1\r\n", (character) => character.charCodeAt(0));

/** Where the path of a plain request is preceded by its authority. */
export const AUTHORITY_START = start.length;

const SLASH = 0x2f;

/**
 * Reads a head as strictly as `createRequestHeadParser` and the functions beside
 * it, straight from its octets and without a text for each field. Undefined where
 * those have to look: the head is not whole, is malformed, or has anything that
 * needs to be understood. What is read is what they would read.
 */
export function readPlainRequest(bytes: Uint8Array, limits: HeadLimits): PlainRequest | undefined {
  const end = Math.min(bytes.length, limits.maxBytes);
  if (!isAt(bytes, 0, start)) return undefined;
  let authorityEnd = AUTHORITY_START;
  while (authorityEnd < end && isOf(bytes, authorityEnd, PLAIN_AUTHORITY)) authorityEnd++;
  if (authorityEnd === AUTHORITY_START || bytes[authorityEnd] !== SLASH) return undefined;
  let pathEnd = authorityEnd;
  while (pathEnd < end && isOf(bytes, pathEnd, PLAIN_PATH)) pathEnd++;
  if (!isAt(bytes, pathEnd, version)) return undefined;
  section.pos = pathEnd + version.length;
  section.step = 0;
  section.marks.length = 0;
  if (scanFieldSection(section, bytes, end, limits.maxFields, "strict") !== "done") return undefined;
  return readLines(bytes, authorityEnd, pathEnd);
}

/** Nothing outlives a call: the scan is used again. */
const section = createFieldSectionScan(0);

function isOf(bytes: Uint8Array, at: number, wanted: number): boolean {
  return ((octetClass[bytes[at] as number] as number) & wanted) !== 0;
}

function isAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index++) if (bytes[at + index] !== wanted[index]) return false;
  return true;
}

function readLines(bytes: Uint8Array, authorityEnd: number, pathEnd: number): PlainRequest | undefined {
  const { marks, pos: used } = section;
  const spans: number[] = [pathEnd + version.length];
  let credentialsFrom = 0;
  let credentialsTo = 0;
  let hosts = 0;
  let connections = 0;
  for (let mark = 0; mark < marks.length; mark += 3) {
    const name = marks[mark] as number;
    const colon = marks[mark + 1] as number;
    const lineEnd = marks[mark + 2] as number;
    switch (nameField(names, bytes, name, colon)) {
      case HOST:
        hosts += 1;
        if (hosts > 1 || !repeatsAuthority(bytes, colon + 1, lineEnd, authorityEnd)) return undefined;
        break;
      case CONNECTION:
        connections += 1;
        if (connections > 1 || !isValue(bytes, colon + 1, lineEnd, keepAlive)) return undefined;
        break;
      case PROXY_AUTHORIZATION:
        if (credentialsTo > 0) return undefined;
        credentialsFrom = colon + 1;
        credentialsTo = lineEnd;
        while (credentialsFrom < credentialsTo && isBlank(bytes[credentialsFrom] as number)) credentialsFrom++;
        while (credentialsTo > credentialsFrom && isBlank(bytes[credentialsTo - 1] as number)) credentialsTo--;
        break;
      case DROPPED:
        break;
      case AUTHORIZATION:
        if (showsConnectionAuth(bytes, colon + 1, lineEnd)) return undefined;
        continue;
      case PECULIAR:
        return undefined;
      default:
        continue;
    }
    spans.push(name, lineEnd + 2);
  }
  if (hosts === 0) return undefined;
  spans.push(used - 2);
  return { authorityEnd, pathEnd, credentialsFrom, credentialsTo, spans, used };
}

const HOST = 1;
const CONNECTION = 2;
const PROXY_AUTHORIZATION = 3;
const AUTHORIZATION = 4;
const DROPPED = 5;
const PECULIAR = 6;

const names = createNameTable([
  ["host", HOST],
  ["connection", CONNECTION],
  ["proxy-authorization", PROXY_AUTHORIZATION],
  ["authorization", AUTHORIZATION],
  ["keep-alive", DROPPED],
  ["proxy", DROPPED],
  ["proxy-authenticate", DROPPED],
  ["proxy-authentication-info", DROPPED],
  ["proxy-connection", DROPPED],
  ["content-length", PECULIAR],
  ["expect", PECULIAR],
  ["te", PECULIAR],
  ["transfer-encoding", PECULIAR],
  ["upgrade", PECULIAR],
  ["via", PECULIAR],
]);

const keepAlive = encodeLower("keep-alive");

/** Whether a Host value is the authority of the target, which begins where no octet can be blank. */
function repeatsAuthority(bytes: Uint8Array, from: number, to: number, authorityEnd: number): boolean {
  let at = from;
  let end = to;
  while (at < end && isBlank(bytes[at] as number)) at++;
  while (end > at && isBlank(bytes[end - 1] as number)) end--;
  if (end - at !== authorityEnd - AUTHORITY_START) return false;
  for (let index = AUTHORITY_START; index < authorityEnd; index++) if (bytes[at++] !== bytes[index]) return false;
  return true;
}

/** Whether it may be NTLM or Negotiate, by the first letter: such credentials belong to the connection (RFC 4559 §4.1). */
function showsConnectionAuth(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from;
  while (at < to && isBlank(bytes[at] as number)) at++;
  return at < to && ((bytes[at] as number) | 0x20) === 0x6e;
}
