import type { Parsed } from "../parsed.ts";
import type { Fields } from "./fields.ts";
import {
  createHeadParser,
  fitsVersion,
  type HeadError,
  type HeadGrammar,
  type HeadLimits,
  type HeadParser,
  isVersionOne,
  readVersion,
  type StartLineScan,
  VERSION_LENGTH,
} from "./head-parser.ts";
import { CR, decodeLatin1, LF, octetClass, SP, TOKEN, VISIBLE } from "./octets.ts";

/** The request line and the fields of a request. */
export class RequestHead {
  /** `1.1` also for a higher minor version. */
  readonly version: "1.0" | "1.1";
  readonly fields: Fields;
  /** Octets of the head, with an empty line before it and the one after it. */
  readonly octets: Uint8Array;
  /** The request-target is between these offsets. */
  readonly targetStart: number;
  readonly targetEnd: number;
  readonly #start: number;
  #target: string | undefined;

  constructor(octets: Uint8Array, start: number, afterMethod: number, afterTarget: number, fields: Fields) {
    this.version = readVersion(octets, afterTarget + 1);
    this.fields = fields;
    this.octets = octets;
    this.targetStart = afterMethod + 1;
    this.targetEnd = afterTarget;
    this.#start = start;
  }

  /** A token of at most 32 characters; methods are case-sensitive (RFC 9110 §9.1). */
  get method(): string {
    const length = this.targetStart - 1 - this.#start;
    // The two of most requests to a proxy are known without a text of their own.
    if (length === 3 && this.#begins(GET)) return "GET";
    if (length === 7 && this.#begins(CONNECT)) return "CONNECT";
    return decodeLatin1(this.octets, this.#start, this.targetStart - 1);
  }

  /** The request-target as it came: latin1 without spaces and control characters, not yet of any known form. */
  get target(): string {
    return (this.#target ??= decodeLatin1(this.octets, this.targetStart, this.targetEnd));
  }

  #begins(method: Uint8Array): boolean {
    for (let index = 0; index < method.length; index++)
      if (this.octets[this.#start + index] !== method[index]) return false;
    return true;
  }
}

const GET = Buffer.from("GET", "latin1");
const CONNECT = Buffer.from("CONNECT", "latin1");

/**
 * What can be wrong with a request head, besides its fields.
 *
 * - `bad_method`: something else than a token, or longer than 32: TLS, SOCKS, noise.
 * - `bad_target`: a control character in the request-target.
 * - `bad_version`: not `HTTP/` DIGIT `.` DIGIT.
 * - `version_not_supported`: a well-formed version other than 1.x.
 * - `bad_request_line`: its parts are not separated by one space each, or one is missing.
 * - `request_line_too_long`: the limit was reached within the request line.
 */
export type RequestHeadError =
  | HeadError
  | "bad_request_line"
  | "bad_method"
  | "bad_target"
  | "bad_version"
  | "version_not_supported"
  | "request_line_too_long";

/** Octets. The longest registered method has 17; the bound lets letters without an end be refused at once. */
const MAX_METHOD_LENGTH = 32;

const START = 0;
const EMPTY_LINE_LF = 1;
const METHOD_START = 2;
const METHOD = 3;
const TARGET_START = 4;
const TARGET = 5;
const VERSION = 6;
const LINE_LF = 7;

const grammar: HeadGrammar<RequestHead, RequestHeadError> = {
  scanStartLine: scanRequestLine,
  startLineTooLong: "request_line_too_long",
  reading: "strict",
  build: (octets, marks, _start, fields) => {
    const [start, afterMethod, afterTarget] = marks as [number, number, number];
    return new RequestHead(octets, start, afterMethod, afterTarget, fields);
  },
};

/** Makes a parser for request heads that arrive in parts. */
export function createRequestHeadParser(limits: HeadLimits): HeadParser<RequestHead, RequestHeadError> {
  return createHeadParser(grammar, limits);
}

/**
 * Reads a request head (RFC 9112 §2, §3, §5), strictly: CRLF only, one space
 * between the parts of the request line, no folding. One empty line before it
 * is let pass (RFC 9112 §2.2). `bad` comes with the first octet that cannot
 * belong to a request. For a head that arrives in parts `createRequestHeadParser`
 * saves the second look.
 */
export function parseRequestHead(bytes: Uint8Array, limits: HeadLimits): Parsed<RequestHead, RequestHeadError> {
  return createRequestHeadParser(limits).parse(bytes);
}

/** Marks: where the method begins, the space after it, the space after the target. */
function scanRequestLine(scan: StartLineScan, bytes: Uint8Array, end: number): "more" | "done" | RequestHeadError {
  const marks = scan.marks;
  while (scan.pos < end) {
    const octet = bytes[scan.pos] as number;
    switch (scan.step) {
      case START:
        scan.step = octet === CR ? EMPTY_LINE_LF : METHOD_START;
        if (octet === CR) scan.pos++;
        break;
      case METHOD_START:
        if (((octetClass[octet] as number) & TOKEN) === 0) return explainBadMethod(octet);
        marks.push(scan.pos++);
        scan.step = METHOD;
        break;
      case METHOD:
        if (((octetClass[octet] as number) & TOKEN) !== 0) {
          if (scan.pos - (marks[0] as number) === MAX_METHOD_LENGTH) return "bad_method";
          scan.pos++;
          break;
        }
        if (octet !== SP) return explainBadMethod(octet);
        marks.push(scan.pos++);
        scan.step = TARGET_START;
        break;
      case TARGET_START:
        if (((octetClass[octet] as number) & VISIBLE) === 0) return explainBadTarget(octet);
        scan.step = TARGET;
        break;
      case TARGET: {
        let pos = scan.pos;
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & VISIBLE) !== 0) pos++;
        scan.pos = pos;
        if (pos === end) return "more";
        if (bytes[pos] !== SP) return explainBadTarget(bytes[pos] as number);
        marks.push(pos);
        scan.pos++;
        scan.step = VERSION;
        break;
      }
      case VERSION: {
        const start = (marks[2] as number) + 1;
        const index = scan.pos - start;
        if (index < VERSION_LENGTH) {
          if (!fitsVersion(octet, index)) return explainBadVersion(octet, index);
          scan.pos++;
          break;
        }
        if (octet !== CR) return explainBadVersion(octet, index);
        if (!isVersionOne(bytes, start)) {
          scan.pos = start;
          return "version_not_supported";
        }
        scan.pos++;
        scan.step = LINE_LF;
        break;
      }
      default:
        if (octet !== LF) {
          scan.pos--;
          return "bare_cr";
        }
        scan.pos++;
        if (scan.step === LINE_LF) return "done";
        scan.step = METHOD_START;
    }
  }
  return "more";
}

function explainBadMethod(octet: number): RequestHeadError {
  if (octet === LF) return "bare_lf";
  return octet === CR || octet === SP ? "bad_request_line" : "bad_method";
}

function explainBadTarget(octet: number): RequestHeadError {
  if (octet === LF) return "bare_lf";
  return octet === CR || octet === SP ? "bad_request_line" : "bad_target";
}

function explainBadVersion(octet: number, index: number): RequestHeadError {
  if (octet === LF) return "bare_lf";
  // Nothing at all where the version should be, or something after it: the line is wrong, not the version.
  const outside = index === 0 || index === VERSION_LENGTH;
  return outside && (octet === CR || octet === SP) ? "bad_request_line" : "bad_version";
}
