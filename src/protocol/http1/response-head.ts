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
import { CR, decodeLatin1, DIGIT, LF, octetClass, SP, TEXT } from "./octets.ts";

/** The status line and the fields of a response. */
export class ResponseHead {
  /** `1.1` also for a higher minor version. */
  readonly version: "1.0" | "1.1";
  /** 100 to 999. What is above 599 has no meaning, but is in use and harmless to pass on (RFC 9110 §15). */
  readonly status: number;
  readonly fields: Fields;
  /** Octets of the status line that can go on as they are; 0 when it has to be written anew. */
  readonly exactLine: number;
  readonly #octets: Uint8Array;
  readonly #lineEnd: number;

  constructor(octets: Uint8Array, lineEnd: number, start: number, fields: Fields) {
    this.version = readVersion(octets, 0);
    this.status = readStatus(octets);
    this.fields = fields;
    const isExact = octets[7] === 0x31 && octets[STATUS_START + STATUS_LENGTH] === SP && start - lineEnd === 2;
    this.exactLine = isExact ? start : 0;
    this.#octets = octets;
    this.#lineEnd = lineEnd;
  }

  /** Latin1, possibly empty. */
  get reason(): string {
    return decodeLatin1(this.#octets, Math.min(STATUS_START + STATUS_LENGTH + 1, this.#lineEnd), this.#lineEnd);
  }
}

function readStatus(octets: Uint8Array): number {
  let status = 0;
  for (let at = STATUS_START; at < STATUS_START + STATUS_LENGTH; at++)
    status = status * 10 + (octets[at] as number) - 0x30;
  return status;
}

/**
 * What can be wrong with a response head, besides its fields.
 *
 * - `bad_version`: it does not begin with `HTTP/` DIGIT `.` DIGIT.
 * - `version_not_supported`: a well-formed version other than 1.x.
 * - `bad_status`: not three digits, or below 100.
 * - `bad_status_line`: its parts are not separated by one space each.
 * - `bad_reason`: a NUL, DEL or other control character but HTAB in the reason.
 * - `status_line_too_long`: the limit was reached within the status line.
 */
export type ResponseHeadError =
  | HeadError
  | "bad_status_line"
  | "bad_version"
  | "version_not_supported"
  | "bad_status"
  | "bad_reason"
  | "status_line_too_long";

const STATUS_START = VERSION_LENGTH + 1;
const STATUS_LENGTH = 3;

const VERSION = 0;
const STATUS = 1;
const REASON = 2;
const LINE_LF = 3;

/**
 * RFC 9112 §2, §4, §5, and more than a request head may have: lines that end in
 * LF alone (§2.2), white space before a colon (§5.1) and folded values (§5.2), but
 * none that frame the body. The space after the status may be missing when there
 * is no reason. What is read is canonical.
 */
const grammar: HeadGrammar<ResponseHead, ResponseHeadError> = {
  scanStartLine: scanStatusLine,
  startLineTooLong: "status_line_too_long",
  reading: "tolerant",
  build: (octets, line, fields) => new ResponseHead(octets, line.first, line.pos, fields),
};

/** Makes a parser for response heads. */
export function createResponseHeadParser(
  limits: HeadLimits,
  lends?: Lending,
): HeadParser<ResponseHead, ResponseHeadError> {
  return new HeadParser(grammar, limits, lends);
}

/** Notes where the line ends, its CRLF or LF aside. */
function scanStatusLine(scan: StartLineScan, bytes: Uint8Array, end: number): "more" | "done" | ResponseHeadError {
  let { pos, step } = scan;
  let outcome: "more" | "done" | ResponseHeadError = "more";
  scanning: while (pos < end) {
    const octet = bytes[pos] as number;
    switch (step) {
      case VERSION:
        if (pos < VERSION_LENGTH) {
          if (!fitsVersion(octet, pos)) {
            outcome = "bad_version";
            break scanning;
          }
          pos++;
          continue;
        }
        if (octet !== SP) {
          outcome = explainBadDelimiter(octet, "bad_version");
          break scanning;
        }
        if (!isVersionOne(bytes, 0)) {
          pos = 0;
          outcome = "version_not_supported";
          break scanning;
        }
        pos++;
        step = STATUS;
        continue;
      case STATUS: {
        const index = pos - STATUS_START;
        if (index < STATUS_LENGTH) {
          const isDigit = ((octetClass[octet] as number) & DIGIT) !== 0;
          if (!isDigit || (index === 0 && octet === 0x30)) {
            outcome = isDigit ? "bad_status" : explainBadDelimiter(octet, "bad_status");
            break scanning;
          }
          pos++;
          continue;
        }
        if (octet === SP) {
          pos++;
        } else if (octet !== CR && octet !== LF) {
          outcome = "bad_status";
          break scanning;
        }
        step = REASON;
        continue;
      }
      case REASON:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TEXT) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== CR && bytes[pos] !== LF) {
          outcome = "bad_reason";
          break scanning;
        }
        scan.first = pos;
        if (bytes[pos++] === LF) {
          outcome = "done";
          break scanning;
        }
        step = LINE_LF;
        continue;
      default:
        if (octet === LF) {
          pos++;
          outcome = "done";
        } else {
          pos--;
          outcome = "bare_cr";
        }
        break scanning;
    }
  }
  scan.pos = pos;
  scan.step = step;
  return outcome;
}

function explainBadDelimiter(octet: number, otherwise: ResponseHeadError): ResponseHeadError {
  return octet === CR || octet === LF || octet === SP ? "bad_status_line" : otherwise;
}
