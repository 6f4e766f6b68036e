import type { Field, Fields } from "./fields.ts";
import { COLON, CR, LF, octetClass, TEXT, TOKEN } from "./octets.ts";
import { createNameTable, isBlank, nameField } from "./plain-fields.ts";

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

/** Fields that say where a message ends: readers differ about folded ones. */
const framingNames = createNameTable([
  ["content-length", 1],
  ["transfer-encoding", 1],
]);
const LONGEST_FRAMING_NAME = "transfer-encoding".length;

/** Where a scan stands between two calls, so that no octet is looked at twice. */
export interface FieldSectionScan {
  /** Offset of the next octet to look at; on an error, of the offending one; at the end, of what follows the section. */
  pos: number;
  step: number;
  /** Three offsets a field: where its name begins, its colon, the end of its last line less CR and LF. */
  readonly marks: number[];
}

/** Makes the scan of a field section whose first line begins at offset `start`. */
export function createFieldSectionScan(start: number): FieldSectionScan {
  return { pos: start, step: LINE_START, marks: [] };
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
  let outcome: "more" | "done" | FieldSectionError = "more";
  scanning: while (pos < end) {
    const octet = bytes[pos] as number;
    switch (step) {
      case LINE_START:
        if (((octetClass[octet] as number) & TOKEN) !== 0) {
          if (marks.length >= 3 * maxFields) {
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
        if (tolerant && isBlank(octet) && mayFold(bytes, marks)) {
          // The line goes on: its end is found anew.
          marks.pop();
          step = VALUE;
          continue;
        }
        outcome = isBlank(octet) ? "obs_fold" : octet === LF ? "bare_lf" : "bad_field_name";
        break scanning;
      case NAME:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TOKEN) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== COLON) {
          if (tolerant && isBlank(bytes[pos] as number)) {
            step = BEFORE_COLON;
            continue;
          }
          outcome = explainBadName(bytes[pos] as number);
          break scanning;
        }
        marks.push(pos++);
        step = VALUE;
        continue;
      case VALUE:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TEXT) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== CR) {
          if (tolerant && bytes[pos] === LF) {
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
  return outcome;
}

/** Whether a line of white space can continue the last field: there is one, and it does not frame the message. */
function mayFold(bytes: Uint8Array, marks: readonly number[]): boolean {
  if (marks.length === 0) return false;
  const name = marks[marks.length - 3] as number;
  // Not from the colon back: as much white space before it as a head has room for would be looked at for each fold.
  let end = name;
  while (end - name <= LONGEST_FRAMING_NAME && ((octetClass[bytes[end] as number] as number) & TOKEN) !== 0) end++;
  return nameField(framingNames, bytes, name, end) === 0;
}

function explainBadName(octet: number): FieldSectionError {
  if (isBlank(octet)) return "space_before_colon";
  return octet === LF ? "bare_lf" : "bad_field_name";
}

/**
 * Reads the fields that `scan` has found. `text` is the latin1 reading of the
 * bytes from offset `base` on. Values lose the white space around them, names
 * the white space after them (RFC 9112 §5.1), and a fold becomes one space (§5.2).
 */
export function readFieldSection(scan: FieldSectionScan, text: string, base: number): Fields {
  const marks = scan.marks;
  const fields: Field[] = [];
  for (let mark = 0; mark < marks.length; mark += 3) {
    const name = (marks[mark] as number) - base;
    const colon = (marks[mark + 1] as number) - base;
    let nameEnd = colon;
    while (isBlank(text.charCodeAt(nameEnd - 1))) nameEnd--;
    const value = trimBlanks(text, colon + 1, (marks[mark + 2] as number) - base);
    fields.push({ name: text.slice(name, nameEnd), value: value.includes("\n") ? unfold(value) : value });
  }
  return fields;
}

/** Joins the lines of a folded value by one space each. */
function unfold(value: string): string {
  const lines = value
    .split("\n")
    .map((line) => trimBlanks(line, 0, line.endsWith("\r") ? line.length - 1 : line.length));
  return lines.filter((line) => line !== "").join(" ");
}

function trimBlanks(text: string, start: number, end: number): string {
  let from = start;
  let to = end;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (from < to && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}
