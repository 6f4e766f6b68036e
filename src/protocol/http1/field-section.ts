import { findFieldId, FRAMING, hasFlag, isBlank } from "./field-names.ts";
import { bitOf, Fields, MARKS, NO_FIELDS } from "./fields.ts";
import { COLON, copyOctets, CR, LF, octetClass, TEXT, TOKEN } from "./octets.ts";

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

/** Where a scan stands between two calls, so that no octet is looked at twice. */
export interface FieldSectionScan {
  /** Offset of the next octet to look at; on an error, of the offending one; at the end, of what follows the section. */
  pos: number;
  step: number;
  /** As `Fields` has them; the end of a value is that of its last line, before CR and LF. */
  readonly marks: number[];
  seen: number;
  repeated: number;
  exact: boolean;
}

/** Makes the scan of a field section whose first line begins at offset `start`. */
export function createFieldSectionScan(start: number): FieldSectionScan {
  return { pos: start, step: LINE_START, marks: [], seen: 0, repeated: 0, exact: true };
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
  const marks = scan.marks;
  const tolerant = reading === "tolerant";
  let pos = scan.pos;
  let step = scan.step;
  let id = 0;
  let bit = 0;
  let { seen, repeated } = scan;
  let outcome: "more" | "done" | FieldSectionError = "more";
  scanning: while (pos < end) {
    const octet = bytes[pos] as number;
    switch (step) {
      case LINE_START:
        if (((octetClass[octet] as number) & TOKEN) !== 0) {
          if (marks.length >= MARKS * maxFields) {
            outcome = "too_many_fields";
            break scanning;
          }
          marks.push(pos++);
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
        if (tolerant && isBlank(octet) && mayFold(marks)) {
          // The line goes on: its end is found anew.
          scan.exact = false;
          marks.pop();
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
        id = findFieldId(bytes, marks[marks.length - 1] as number, pos);
        bit = bitOf(id);
        repeated |= seen & bit;
        seen |= bit;
        if (bytes[pos] !== COLON) {
          scan.exact = false;
          marks.push(id);
          step = BEFORE_COLON;
          continue;
        }
        marks.push(id, pos++);
        step = VALUE;
        continue;
      case VALUE:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TEXT) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== CR) {
          if (tolerant && bytes[pos] === LF) {
            scan.exact = false;
            marks.push(pos++);
            step = LINE_START;
            continue;
          }
          outcome = bytes[pos] === LF ? "bare_lf" : "bad_field_value";
          break scanning;
        }
        marks.push(pos++);
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
        marks.push(pos++);
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
  scan.seen = seen;
  scan.repeated = repeated;
  return outcome;
}

/** Whether a line of white space can continue the last field: there is one, and it does not frame the message. */
function mayFold(marks: readonly number[]): boolean {
  return marks.length > 0 && !hasFlag(marks[marks.length - MARKS + 1] as number, FRAMING);
}

function explainBadName(octet: number): FieldSectionError {
  if (isBlank(octet)) return "space_before_colon";
  return octet === LF ? "bare_lf" : "bad_field_name";
}

/**
 * Gives the fields that `scan` has found in `octets`, and makes it ready for
 * another section. `lends`: they are to be used before that one is scanned.
 */
export function takeFields(scan: FieldSectionScan, octets: Uint8Array, lends = false): Fields {
  const { marks, exact } = scan;
  scan.step = LINE_START;
  if (lends) return new Fields(octets, marks, scan, exact);
  const fields = marks.length === 0 ? NO_FIELDS : new Fields(octets, marks.slice(), scan, exact);
  clearFields(scan);
  return fields;
}

/** Forgets the fields of a scan. */
export function clearFields(scan: FieldSectionScan): void {
  scan.marks.length = 0;
  scan.seen = 0;
  scan.repeated = 0;
  scan.exact = true;
}

/** Makes a copy of the first octets. */
export function copyHead(bytes: Uint8Array, length: number): Uint8Array {
  const octets = new Uint8Array(length);
  copyOctets(bytes, 0, length, octets, 0);
  return octets;
}
