import { createFieldSectionScan, scanFieldSection } from "./field-section.ts";
import type { HeadLimits, StartLineScan } from "./head-parser.ts";
import { CR, DIGIT, octetClass, SP } from "./octets.ts";
import { createNameTable, encodeLower, isBlank, isValue, nameField } from "./plain-fields.ts";
import { scanStatusLine } from "./response-head.ts";

/**
 * A response head in version 1.1 that has nothing in it but what most responses
 * have, so that its octets can go on as they are, less the lines that are for
 * one hop only.
 */
export interface PlainResponse {
  /** 200 to 999, of a response that has a body. */
  readonly status: number;
  /** Octets of the body; -1 for one in chunks. */
  readonly length: number;
  /** The sender closes the connection after it. */
  readonly closes: boolean;
  readonly dated: boolean;
  /** What goes on, in pairs: from (inclusive), to (exclusive). The empty line at the end is not among it. */
  readonly spans: readonly number[];
  /** Octets of the head, the empty line included. */
  readonly used: number;
}

/**
 * Reads a head straight from its octets, without a text for each field.
 * Undefined where `createResponseHeadParser` and the functions beside it have to
 * look: the head is not whole, is malformed or not canonical, is of
 * another version, frames its body in no ordinary way, or has a field that
 * needs to be understood. What is read is what they would read.
 */
export function readPlainResponse(bytes: Uint8Array, limits: HeadLimits): PlainResponse | undefined {
  const end = Math.min(bytes.length, limits.maxBytes);
  line.pos = 0;
  line.step = 0;
  line.marks.length = 0;
  // Version 1.0 and higher minor versions are for the parser.
  if (scanStatusLine(line, bytes, end) !== "done" || bytes[7] !== 0x31) return undefined;
  const status = readDigits(bytes, 9, 12);
  // Without the space that belongs there, or the CR, it is for the parser to let pass.
  if (status < 200 || isSpecial(status) || bytes[12] !== SP || bytes[line.pos - 2] !== CR) return undefined;
  section.pos = line.pos;
  section.step = 0;
  section.marks.length = 0;
  if (scanFieldSection(section, bytes, end, limits.maxFields, "strict") !== "done") return undefined;
  return readLines(bytes, status, section.marks, section.pos);
}

/** Nothing outlives a call: the scans are used again. */
const line: StartLineScan = { pos: 0, step: 0, marks: [] };
const section = createFieldSectionScan(0);

/** Without a body, about the connection, or about proxies. */
function isSpecial(status: number): boolean {
  return status === 204 || status === 304 || status === 401 || status === 407 || status === 426;
}

function readLines(
  bytes: Uint8Array,
  status: number,
  marks: readonly number[],
  used: number,
): PlainResponse | undefined {
  const spans: number[] = [0];
  let length: number | undefined;
  let closes = false;
  let connections = 0;
  let dated = false;
  for (let mark = 0; mark < marks.length; mark += 3) {
    const name = marks[mark] as number;
    const colon = marks[mark + 1] as number;
    const lineEnd = marks[mark + 2] as number;
    let kept = true;
    switch (nameField(names, bytes, name, colon)) {
      case CONTENT_LENGTH:
        if (length !== undefined) return undefined;
        length = readLength(bytes, colon + 1, lineEnd);
        if (length === undefined) return undefined;
        break;
      case TRANSFER_ENCODING:
        if (length !== undefined || !isValue(bytes, colon + 1, lineEnd, chunked)) return undefined;
        length = -1;
        kept = false;
        break;
      case CONNECTION:
        closes = isValue(bytes, colon + 1, lineEnd, close);
        connections += 1;
        if (connections > 1 || (!closes && !isValue(bytes, colon + 1, lineEnd, keepAlive))) return undefined;
        kept = false;
        break;
      case KEEP_ALIVE:
        kept = false;
        break;
      case DATE:
        dated = true;
        break;
      case PECULIAR:
        return undefined;
    }
    if (kept) continue;
    spans.push(name, lineEnd + 2);
  }
  if (length === undefined) return undefined;
  spans.push(used - 2);
  return { status, length, closes, dated, spans, used };
}

const CONTENT_LENGTH = 1;
const TRANSFER_ENCODING = 2;
const CONNECTION = 3;
const KEEP_ALIVE = 4;
const DATE = 5;
const PECULIAR = 6;

/** What else is hop-by-hop, whoever has to understand it, is peculiar. */
const names = createNameTable([
  ["content-length", CONTENT_LENGTH],
  ["transfer-encoding", TRANSFER_ENCODING],
  ["connection", CONNECTION],
  ["keep-alive", KEEP_ALIVE],
  ["date", DATE],
  ["proxy", PECULIAR],
  ["proxy-authenticate", PECULIAR],
  ["proxy-authentication-info", PECULIAR],
  ["proxy-authorization", PECULIAR],
  ["proxy-connection", PECULIAR],
  ["te", PECULIAR],
  ["upgrade", PECULIAR],
]);

const chunked = encodeLower("chunked");
const close = encodeLower("close");
const keepAlive = encodeLower("keep-alive");

/** One to fifteen digits, which are exact, and no zero before others; the parser judges all else. */
function readLength(bytes: Uint8Array, from: number, to: number): number | undefined {
  let start = from;
  let end = to;
  while (start < end && isBlank(bytes[start] as number)) start++;
  while (end > start && isBlank(bytes[end - 1] as number)) end--;
  if (end === start || end - start > 15 || (bytes[start] === 0x30 && end - start > 1)) return undefined;
  for (let at = start; at < end; at++)
    if (((octetClass[bytes[at] as number] as number) & DIGIT) === 0) return undefined;
  return readDigits(bytes, start, end);
}

function readDigits(bytes: Uint8Array, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at] as number) - 0x30;
  return value;
}
