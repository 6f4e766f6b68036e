import type { Parsed } from "../parsed.ts";
import {
  createFieldSectionScan,
  type FieldSectionError,
  type FieldSectionScan,
  type LineReading,
  readFieldSection,
  scanFieldSection,
} from "./field-section.ts";
import type { Fields } from "./fields.ts";
import { decodeLatin1 } from "./octets.ts";

/** How large a head may be. */
export interface HeadLimits {
  /** Octets, from the first of the start line to the last of the empty line. RFC 9112 §3 asks for 8,000 in the start line alone. */
  readonly maxBytes: number;
  /** Field lines. */
  readonly maxFields: number;
}

/**
 * Reads one head that arrives in parts. Give it all the bytes of the head that
 * there are, each time from the first on: it goes on where it stopped, so that a
 * head costs the same in one part or in a thousand. After `done` or `bad` it is
 * spent.
 */
export interface HeadParser<T, Code extends string> {
  parse(bytes: Uint8Array): Parsed<T, Code>;
}

/** Where the scan of a start line stands between two calls. */
export interface StartLineScan {
  /** Offset of the next octet to look at; on an error, of the offending one; at the end, of the first field line. */
  pos: number;
  step: number;
  /** Offsets of the parts of the line, as its scanner defines them. */
  readonly marks: number[];
}

/** How the two kinds of head differ. */
export interface HeadGrammar<T, Code extends string> {
  scanStartLine(scan: StartLineScan, bytes: Uint8Array, end: number): "more" | "done" | Code;
  readonly reading: LineReading;
  /** Makes the head. `text` is the latin1 reading of all its bytes. */
  build(text: string, marks: readonly number[], fields: Fields): T;
  /** The word for a start line that alone exceeds `maxBytes`. */
  readonly startLineTooLong: Code;
}

/** Every head can fail so, whatever its start line. */
export type HeadError = FieldSectionError | "head_too_large";

const MORE = { kind: "more" } as const;

/** Makes a parser of one head by a grammar. Nothing of a head is believed before the whole of it is valid. */
export function createHeadParser<T, Code extends string>(
  grammar: HeadGrammar<T, Code>,
  limits: HeadLimits,
): HeadParser<T, Code | HeadError> {
  return new GrammarParser(grammar, limits);
}

class GrammarParser<T, Code extends string> implements HeadParser<T, Code | HeadError> {
  readonly #grammar: HeadGrammar<T, Code>;
  readonly #limits: HeadLimits;
  /** Undefined before the first bytes, and at the end. */
  #scan: HeadScan | undefined;

  constructor(grammar: HeadGrammar<T, Code>, limits: HeadLimits) {
    this.#grammar = grammar;
    this.#limits = limits;
  }

  parse(bytes: Uint8Array): Parsed<T, Code | HeadError> {
    const scan = this.#scan ?? takeScan();
    const parsed = this.#scanOn(scan, bytes);
    this.#scan = parsed.kind === "more" ? scan : undefined;
    if (parsed.kind !== "more") giveBack(scan);
    return parsed;
  }

  #scanOn({ line, section }: HeadScan, bytes: Uint8Array): Parsed<T, Code | HeadError> {
    const grammar = this.#grammar;
    const { maxBytes, maxFields } = this.#limits;
    const end = Math.min(bytes.length, maxBytes);
    if (section.pos < 0) {
      const outcome = grammar.scanStartLine(line, bytes, end);
      if (outcome === "more") return end < maxBytes ? MORE : { kind: "bad", code: grammar.startLineTooLong, at: end };
      if (outcome !== "done") return { kind: "bad", code: outcome, at: line.pos };
      section.pos = line.pos;
    }
    const outcome = scanFieldSection(section, bytes, end, maxFields, grammar.reading);
    if (outcome === "more") return end < maxBytes ? MORE : { kind: "bad", code: "head_too_large", at: end };
    if (outcome !== "done") return { kind: "bad", code: outcome, at: section.pos };
    const text = decodeLatin1(bytes, 0, section.pos);
    const value = grammar.build(text, line.marks, readFieldSection(section, text, 0));
    return { kind: "done", value, used: section.pos };
  }
}

/** Where a head is looked at: its start line, and its fields once `section.pos` is not negative. */
interface HeadScan {
  readonly line: StartLineScan;
  readonly section: FieldSectionScan;
}

/** Used again: most heads are whole in their first part, so hardly ever more than one is in use. */
let spare: HeadScan | undefined;

function takeScan(): HeadScan {
  const scan = spare ?? { line: { pos: 0, step: 0, marks: [] }, section: createFieldSectionScan(-1) };
  spare = undefined;
  return scan;
}

function giveBack(scan: HeadScan): void {
  const { line, section } = scan;
  line.pos = 0;
  line.step = 0;
  line.marks.length = 0;
  section.pos = -1;
  section.step = 0;
  section.marks.length = 0;
  spare = scan;
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
export function readVersion(text: string, start: number): "1.0" | "1.1" {
  return text[start + 7] === "0" ? "1.0" : "1.1";
}
