import { findFieldId, FRAMING, hasFlag, isBlank } from "./field-names.ts";
import { bitOf, Fields, MARKS } from "./fields.ts";
import { COLON, copyOctets, CR, LF, octetClass, SP, TEXT, TOKEN } from "./octets.ts";

/**
 * What can be wrong with a field section.
 *
 * - `bare_cr`: a CR without LF (RFC 9112 §2.2).
 * - `bare_lf`: an LF without CR; a line end for a tolerant reader.
 * - `obs_fold`: a line that begins with white space (RFC 9112 §5.2). For a tolerant
 *   reader, only one that continues no field line or a framing field.
 * - `space_before_colon`: white space after a field name (RFC 9112 §5.1); a tolerant reader drops it.
 * - `bad_field_name`: a name that is empty or not a token, or a line without a colon.
 * - `bad_field_value`: a NUL, DEL or other control character but HTAB in a value.
 * - `too_many_fields`: more field lines than allowed.
 */
export type FieldSectionError =
  "bare_cr" | "bare_lf" | "obs_fold" | "space_before_colon" | "bad_field_name" | "bad_field_value" | "too_many_fields";

const LINE_START = 0;
const NAME = 1;
const VALUE = 2;
const LINE_LF = 3;
const LAST_LF = 4;
const BEFORE_COLON = 5;

/**
 * How lines are read. `strict`: in a request, where a client could make the next
 * reader find other fields or another end. `tolerant`: in a response, as RFC 9112
 * §2.2, §5.1 and §5.2 allow or ask; nothing of what is tolerated is passed on.
 */
export type LineReading = "strict" | "tolerant";

/** Lines for which a scan has room at first. */
const FIRST_LINES = 8;

const NO_MARKS = new Int32Array(0);

/** Where a scan stands between two calls, so that no octet is looked at twice. */
export class FieldSectionScan {
  /** Offset of the next octet to look at; on an error, of the offending one; at the end, of what follows the section. */
  pos: number;
  step = LINE_START;
  /** As `Fields` has them; the end of a value is that of its last line, before CR and LF. The array is used again. */
  marks = NO_MARKS;
  /** Numbers in `marks`. */
  count = 0;
  seen = 0;
  repeated = 0;
  exact = true;

  /** The first line begins at offset `start`. */
  constructor(start: number) {
    this.pos = start;
  }

  /** Forgets the fields, for another section. */
  clear(): void {
    this.step = LINE_START;
    this.count = 0;
    this.seen = 0;
    this.repeated = 0;
    this.exact = true;
  }

  /** Makes room for more lines. */
  grow(): Int32Array<ArrayBuffer> {
    const grown = new Int32Array(Math.max(FIRST_LINES * MARKS, this.marks.length * 2));
    grown.set(this.marks);
    this.marks = grown;
    return grown;
  }
}

/**
 * Looks at `bytes` from where `scan` stands up to `end`, by RFC 9112 §5.
 * `done` means that the empty line after the section was seen. The bytes before
 * `scan.pos` must be the same at every call.
 */
export function scanFieldSection(
  scan: FieldSectionScan,
  bytes: Uint8Array,
  end: number,
  maxFields: number,
  reading: LineReading,
): "more" | "done" | FieldSectionError {
  const tolerant = reading === "tolerant";
  let pos = scan.pos;
  let step = scan.step;
  let id = 0;
  let bit = 0;
  let { marks, count, seen, repeated } = scan;
  let outcome: "more" | "done" | FieldSectionError = "more";
  scanning: while (pos < end) {
    const octet = bytes[pos] as number;
    switch (step) {
      case LINE_START:
        if (((octetClass[octet] as number) & TOKEN) !== 0) {
          if (count >= MARKS * maxFields) {
            outcome = "too_many_fields";
            break scanning;
          }
          if (count === marks.length) marks = scan.grow();
          marks[count++] = pos++;
          step = NAME;
          continue;
        }
        if (octet === CR) {
          pos++;
          step = LAST_LF;
          continue;
        }
        if (tolerant && octet === LF) {
          pos++;
          outcome = "done";
          break scanning;
        }
        if (tolerant && isBlank(octet) && mayFold(marks, count)) {
          // The line goes on: its end is found anew.
          scan.exact = false;
          count--;
          step = VALUE;
          continue;
        }
        outcome = isBlank(octet) ? "obs_fold" : octet === LF ? "bare_lf" : "bad_field_name";
        break scanning;
      case NAME:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TOKEN) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== COLON && !(tolerant && isBlank(bytes[pos] as number))) {
          outcome = explainBadName(bytes[pos] as number);
          break scanning;
        }
        id = findFieldId(bytes, marks[count - 1] as number, pos);
        bit = bitOf(id);
        repeated |= seen & bit;
        seen |= bit;
        if (bytes[pos] !== COLON) {
          scan.exact = false;
          marks[count++] = id;
          step = BEFORE_COLON;
          continue;
        }
        marks[count++] = id;
        marks[count++] = pos++;
        step = VALUE;
        continue;
      case VALUE:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TEXT) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== CR) {
          if (tolerant && bytes[pos] === LF) {
            scan.exact = false;
            marks[count++] = pos++;
            step = LINE_START;
            continue;
          }
          outcome = bytes[pos] === LF ? "bare_lf" : "bad_field_value";
          break scanning;
        }
        if (scan.exact && !isCanonical(bytes, marks[count - 1] as number, pos)) scan.exact = false;
        marks[count++] = pos++;
        step = LINE_LF;
        continue;
      case BEFORE_COLON:
        if (isBlank(octet)) {
          pos++;
          continue;
        }
        if (octet !== COLON) {
          outcome = "bad_field_name";
          break scanning;
        }
        marks[count++] = pos++;
        step = VALUE;
        continue;
      default:
        if (octet !== LF) {
          pos--;
          outcome = "bare_cr";
          break scanning;
        }
        pos++;
        if (step === LAST_LF) {
          outcome = "done";
          break scanning;
        }
        step = LINE_START;
    }
  }
  scan.pos = pos;
  scan.step = step;
  scan.count = count;
  scan.seen = seen;
  scan.repeated = repeated;
  return outcome;
}

/** Whether one space, and no other white space, is around a value that ends at `end`; an empty value needs none. */
function isCanonical(bytes: Uint8Array, colon: number, end: number): boolean {
  if (end === colon + 1) return true;
  return bytes[colon + 1] === SP && !isBlank(bytes[colon + 2] as number) && !isBlank(bytes[end - 1] as number);
}

/** Whether a line of white space can continue the last field: there is one, and it does not frame the message. */
function mayFold(marks: Int32Array, count: number): boolean {
  return count > 0 && !hasFlag(marks[count - MARKS + 1] as number, FRAMING);
}

function explainBadName(octet: number): FieldSectionError {
  if (isBlank(octet)) return "space_before_colon";
  return octet === LF ? "bare_lf" : "bad_field_name";
}

/** Gives the fields that `scan` has found in `octets`, and makes it ready for another section. */
export function takeFields(scan: FieldSectionScan, octets: Uint8Array): Fields {
  const { marks, count, exact } = scan;
  const fields = new Fields(octets, marks.slice(0, count), count, scan, exact);
  scan.clear();
  return fields;
}

/** Gives the fields that `scan` has found in `octets`. They are to be used before it is cleared. */
export function lendFields(scan: FieldSectionScan, octets: Uint8Array): Fields {
  return new Fields(octets, scan.marks, scan.count, scan, scan.exact);
}

/** Makes a copy of the first octets. */
export function copyHead(bytes: Uint8Array, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  copyOctets(bytes, 0, length, octets, 0);
  return octets;
}
