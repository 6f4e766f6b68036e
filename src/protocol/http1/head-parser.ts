import type { Parsed } from "../parsed.ts";
import {
  copyHead,
  type FieldSectionError,
  FieldSectionScan,
  lendFields,
  type LineReading,
  scanFieldSection,
  takeFields,
} from "./field-section.ts";
import type { Fields } from "./fields.ts";

/** How large a head may be. */
export interface HeadLimits {
  /** Octets, from the first of the start line to the last of the empty line. RFC 9112 §3 asks for 8,000 in the start line alone. */
  readonly maxBytes: number;
  /** Field lines. */
  readonly maxFields: number;
}

/**
 * Which parts of a head are lent, and valid only until the parser reads another one:
 *
 * - `nothing`: the head has a copy of its octets, and is valid for ever.
 * - `marks`: it has a copy of its octets.
 * - `all`: it is valid only while the bytes are, too.
 */
export type Lending = "nothing" | "marks" | "all";

/** Where the scan of a start line stands between two calls. */
export interface StartLineScan {
  /** Offset of the next octet to look at; on an error, of the offending one; at the end, of the first field line. */
  pos: number;
  step: number;
  /** Offsets of the parts of the line, as its scanner defines them. */
  first: number;
  second: number;
  third: number;
}

/** How the two kinds of head differ. */
export interface HeadGrammar<T, Code extends string> {
  scanStartLine(scan: StartLineScan, bytes: Uint8Array, end: number): "more" | "done" | Code;
  readonly reading: LineReading;
  /** Makes the head of its octets. Its start line ends at `line.pos`. */
  build(octets: Uint8Array, line: StartLineScan, fields: Fields): T;
  /** The word for a start line that alone exceeds `maxBytes`. */
  readonly startLineTooLong: Code;
}

/** Every head can fail so, whatever its start line. */
export type HeadError = FieldSectionError | "head_too_large";

const MORE = { kind: "more" } as const;

/**
 * Reads one head that arrives in parts. Give it all the bytes of the head that
 * there are, each time from the first on: it goes on where it stopped, so that a
 * head costs the same in one part or in a thousand. After `done` it is ready for
 * another head, after `bad` only once it was reset. Nothing of a head is believed
 * before the whole of it is valid.
 */
export class HeadParser<T, Code extends string> {
  readonly #grammar: HeadGrammar<T, Code>;
  readonly #limits: HeadLimits;
  readonly #line: StartLineScan = { pos: 0, step: 0, first: 0, second: 0, third: 0 };
  readonly #section = new FieldSectionScan(0);
  readonly #copiesOctets: boolean;
  readonly #copiesMarks: boolean;
  /** Whether the scan stands in the start line, and not in the fields. */
  #isInLine = true;

  constructor(grammar: HeadGrammar<T, Code>, limits: HeadLimits, lends: Lending = "nothing") {
    this.#grammar = grammar;
    this.#limits = limits;
    this.#copiesOctets = lends !== "all";
    this.#copiesMarks = lends === "nothing";
  }

  parse(bytes: Uint8Array): Parsed<T, Code | HeadError> {
    const grammar = this.#grammar;
    const line = this.#line;
    const section = this.#section;
    const { maxBytes, maxFields } = this.#limits;
    const end = Math.min(bytes.length, maxBytes);
    if (this.#isInLine) {
      const outcome = grammar.scanStartLine(line, bytes, end);
      if (outcome === "more") return end < maxBytes ? MORE : { kind: "bad", code: grammar.startLineTooLong, at: end };
      if (outcome !== "done") return { kind: "bad", code: outcome, at: line.pos };
      this.#isInLine = false;
      section.clear();
      section.pos = line.pos;
    }
    const outcome = scanFieldSection(section, bytes, end, maxFields, grammar.reading);
    if (outcome === "more") return end < maxBytes ? MORE : { kind: "bad", code: "head_too_large", at: end };
    if (outcome !== "done") return { kind: "bad", code: outcome, at: section.pos };
    const used = section.pos;
    const octets = this.#copiesOctets ? copyHead(bytes, used) : bytes;
    const fields = this.#copiesMarks ? takeFields(section, octets) : lendFields(section, octets);
    const value = grammar.build(octets, line, fields);
    this.reset();
    return { kind: "done", value, used };
  }

  /** Forgets what was read, so that another head may come. */
  reset(): void {
    this.#line.pos = 0;
    this.#line.step = 0;
    this.#isInLine = true;
  }
}

/** Length of an `HTTP-version`, `HTTP/1.1` (RFC 9112 §2.3). */
export const VERSION_LENGTH = 8;

const VERSION_SHAPE = [0x48, 0x54, 0x54, 0x50, 0x2f, -1, 0x2e, -1] as const;

/** Tells whether `octet` can be the one at `index` of an `HTTP-version`: `HTTP/` DIGIT `.` DIGIT, in capitals. */
export function fitsVersion(octet: number, index: number): boolean {
  const wanted = VERSION_SHAPE[index];
  return wanted === -1 ? octet >= 0x30 && octet <= 0x39 : octet === wanted;
}

/** Tells whether the version that begins at `start` is of major version 1; any other is not spoken here. */
export function isVersionOne(bytes: Uint8Array, start: number): boolean {
  return bytes[start + 5] === 0x31;
}

/** Reads the version that begins at `start`. A higher minor version than 1 is treated as 1 (RFC 9110 §2.5). */
export function readVersion(octets: Uint8Array, start: number): "1.0" | "1.1" {
  return octets[start + 7] === 0x30 ? "1.0" : "1.1";
}
