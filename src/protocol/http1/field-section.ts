import type { Field, Fields } from "./fields.ts";
import { COLON, CR, HTAB, LF, octetClass, SP, TEXT, TOKEN } from "./octets.ts";

/**
 * What can be wrong with a field section.
 *
 * - `bare_cr`, `bare_lf`: a line that does not end in CRLF (RFC 9112 §2.2).
 * - `obs_fold`: a line that begins with white space (RFC 9112 §5.2).
 * - `space_before_colon`: white space in or after a field name (RFC 9112 §5.1).
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

/** Where a scan stands between two calls, so that no octet is looked at twice. */
export interface FieldSectionScan {
  /** Offset of the next octet to look at; on an error, of the offending one; at the end, of what follows the section. */
  pos: number;
  step: number;
  /** Three offsets a field line: where its name begins, its colon, its CR. */
  readonly marks: number[];
}

/** Makes the scan of a field section whose first line begins at offset `start`. */
export function createFieldSectionScan(start: number): FieldSectionScan {
  return { pos: start, step: LINE_START, marks: [] };
}

/**
 * Looks at `bytes` from where `scan` stands up to `end`, strictly by RFC 9112 §5.
 * `done` means that the empty line after the section was seen. The bytes before
 * `scan.pos` must be the same at every call.
 */
export function scanFieldSection(
  scan: FieldSectionScan,
  bytes: Uint8Array,
  end: number,
  maxFields: number,
): "more" | "done" | FieldSectionError {
  const marks = scan.marks;
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
        outcome = octet === SP || octet === HTAB ? "obs_fold" : octet === LF ? "bare_lf" : "bad_field_name";
        break scanning;
      case NAME:
        while (pos < end && ((octetClass[bytes[pos] as number] as number) & TOKEN) !== 0) pos++;
        if (pos === end) break scanning;
        if (bytes[pos] !== COLON) {
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
          outcome = bytes[pos] === LF ? "bare_lf" : "bad_field_value";
          break scanning;
        }
        marks.push(pos++);
        step = LINE_LF;
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

function explainBadName(octet: number): FieldSectionError {
  if (octet === SP || octet === HTAB) return "space_before_colon";
  return octet === LF ? "bare_lf" : "bad_field_name";
}

/**
 * Reads the fields that `scan` has found. `text` is the latin1 reading of the
 * bytes from offset `base` on. Values lose the white space around them
 * (RFC 9112 §5.1), names keep their spelling.
 */
export function readFieldSection(scan: FieldSectionScan, text: string, base: number): Fields {
  const marks = scan.marks;
  const fields: Field[] = [];
  for (let mark = 0; mark < marks.length; mark += 3) {
    const name = (marks[mark] as number) - base;
    const colon = (marks[mark + 1] as number) - base;
    let from = colon + 1;
    let to = (marks[mark + 2] as number) - base;
    while (from < to && isBlank(text.charCodeAt(from))) from++;
    while (from < to && isBlank(text.charCodeAt(to - 1))) to--;
    fields.push({ name: text.slice(name, colon), value: text.slice(from, to) });
  }
  return fields;
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB;
}
