import type { Fields } from "./fields.ts";
import {
  fitsVersion,
  type HeadError,
  type HeadGrammar,
  type HeadLimits,
  HeadParser,
  isVersionOne,
  type Lending,
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

  /** Of the line, `first` is the offset of the method, `second` of the space after it, `third` of that after the target. */
  constructor(octets: Uint8Array, { first, second, third }: StartLineScan, fields: Fields) {
    this.version = readVersion(octets, third + 1);
    this.fields = fields;
    this.octets = octets;
    this.targetStart = second + 1;
    this.targetEnd = third;
    this.#start = first;
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
const TARGET = 4;
const VERSION = 5;
const LINE_LF = 6;

/** RFC 9112 §2, §3, §5, strictly: CRLF only, one space between the parts of the request line, no folding. One empty line before it is let pass (§2.2). */
const grammar: HeadGrammar<RequestHead, RequestHeadError> = {
  scanStartLine: scanRequestLine,
  startLineTooLong: "request_line_too_long",
  reading: "strict",
  build: (octets, line, fields) => new RequestHead(octets, line, fields),
};

/** Makes a parser for request heads. `bad` comes with the first octet that cannot belong to a request. */
export function createRequestHeadParser(
  limits: HeadLimits,
  lends?: Lending,
): HeadParser<RequestHead, RequestHeadError> {
  return new HeadParser(grammar, limits, lends);
}

/** Notes where the method begins, the space after it, and the space after the target. */
function scanRequestLine(scan: StartLineScan, bytes: Uint8Array, end: number): "more" | "done" | RequestHeadError {
  let { pos, step } = scan;
  let outcome: "more" | "done" | RequestHeadError = "more";
  scanning: while (pos < end) {
    const octet = bytes[pos] as number;
    switch (step) {
      case START:
        step = octet === CR ? EMPTY_LINE_LF : METHOD_START;
        if (octet === CR) pos++;
        continue;
      case METHOD_START:
        scan.first = pos;
        step = METHOD;
        continue;
      case METHOD:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TOKEN) !== 0) {
          if (pos - scan.first === MAX_METHOD_LENGTH) {
            outcome = "bad_method";
            break scanning;
          }
          pos++;
        }
        if (pos === end) break scanning;
        if (bytes[pos] !== SP || pos === scan.first) {
          outcome = explainBadDelimiter(bytes[pos] as number, "bad_method");
          break scanning;
        }
        scan.second = pos++;
        step = TARGET;
        continue;
      case TARGET:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & VISIBLE) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== SP || pos === scan.second + 1) {
          outcome = explainBadDelimiter(bytes[pos] as number, "bad_target");
          break scanning;
        }
        scan.third = pos++;
        step = VERSION;
        continue;
      case VERSION: {
        const start = scan.third + 1;
        while (pos < end && pos - start < VERSION_LENGTH && fitsVersion(bytes[pos] as number, pos - start)) pos++;
        if (pos === end) break scanning;
        if (pos - start < VERSION_LENGTH || bytes[pos] !== CR) {
          outcome = explainBadVersion(bytes[pos] as number, pos - start);
          break scanning;
        }
        if (!isVersionOne(bytes, start)) {
          pos = start;
          outcome = "version_not_supported";
          break scanning;
        }
        pos++;
        step = LINE_LF;
        continue;
      }
      default:
        if (octet !== LF) {
          pos--;
          outcome = "bare_cr";
          break scanning;
        }
        pos++;
        if (step === LINE_LF) {
          outcome = "done";
          break scanning;
        }
        step = METHOD_START;
    }
  }
  scan.pos = pos;
  scan.step = step;
  return outcome;
}

function explainBadDelimiter(octet: number, otherwise: RequestHeadError): RequestHeadError {
  if (octet === LF) return "bare_lf";
  return octet === CR || octet === SP ? "bad_request_line" : otherwise;
}

function explainBadVersion(octet: number, index: number): RequestHeadError {
  // Nothing at all where the version should be, or something after it: the line is wrong, not the version.
  const outside = index === 0 || index === VERSION_LENGTH;
  return outside || octet === LF ? explainBadDelimiter(octet, "bad_version") : "bad_version";
}
