import { findFieldIdOf, isBlank, isValue } from "./field-names.ts";
import { copyOctets, decodeLatin1, LF } from "./octets.ts";

/** One field line: the name as it was spelled, the value as latin1 without the white space around it. */
export interface Field {
  readonly name: string;
  readonly value: string;
}

/** What a message says about a field that may occur once. */
export type FieldLookup =
  { readonly kind: "none" } | { readonly kind: "one"; readonly value: string } | { readonly kind: "many" };

/** Numbers for each line in `marks`: offset of its name, id of that, offset of its colon, offset of the end of its value. */
export const MARKS = 4;
const ID = 1;
const COLON_AT = 2;
const END = 3;

const COMMA = 0x2c;

/** Octets between the end of a value and the next line. */
const LINE_END = 2;

/** Which ids there are, as bits. */
export type FieldBits = Pick<Fields, "seen" | "repeated">;

/**
 * The field lines of a message in the order in which they came: octets, and
 * where the parts of the lines are. Text is decoded when it is asked for.
 */
export class Fields implements Iterable<Field> {
  readonly octets: Uint8Array;
  readonly marks: Int32Array;
  /** Numbers in `marks` that are of these fields. */
  readonly count: number;
  /** A bit for each id below 32 that a line has, and for each that more than one has. */
  readonly seen: number;
  readonly repeated: number;
  /** Every line is `name: value` with one space and as a strict reader takes it, so that its octets can go on. */
  readonly exact: boolean;
  /** Bits of ids whose lines are in the octets, but not among these fields. */
  readonly hidden: number;

  constructor(octets: Uint8Array, marks: Int32Array, count: number, bits: FieldBits, exact: boolean, hidden = 0) {
    this.octets = octets;
    this.marks = marks;
    this.count = count;
    this.seen = bits.seen & ~hidden;
    this.repeated = bits.repeated & ~hidden;
    this.exact = exact;
    this.hidden = hidden;
  }

  *[Symbol.iterator](): Iterator<Field> {
    for (let index = 0; index < this.count / MARKS; index++)
      if (!this.#isHidden(index)) yield { name: this.nameAt(index), value: this.valueAt(index) };
  }

  /** Offset of the end of the last line. */
  get end(): number {
    return this.count === 0 ? 0 : (this.marks[this.count - MARKS + END] as number) + LINE_END;
  }

  idAt(index: number): number {
    return this.marks[index * MARKS + ID] as number;
  }

  nameAt(index: number): string {
    const from = this.marks[index * MARKS] as number;
    let to = this.marks[index * MARKS + COLON_AT] as number;
    while (isBlank(this.octets[to - 1] as number)) to--;
    return decodeLatin1(this.octets, from, to);
  }

  valueAt(index: number): string {
    const value = decodeLatin1(this.octets, this.valueStart(index), this.valueEnd(index));
    return !this.exact && value.includes("\n") ? unfold(value) : value;
  }

  /** Offset of the value, after the white space in front of it. */
  valueStart(index: number): number {
    const end = this.marks[index * MARKS + END] as number;
    let at = (this.marks[index * MARKS + COLON_AT] as number) + 1;
    while (at < end && isBlank(this.octets[at] as number)) at++;
    return at;
  }

  /** Offset of the end of the value, before the white space after it. */
  valueEnd(index: number): number {
    const start = this.valueStart(index);
    let at = this.marks[index * MARKS + END] as number;
    while (at > start && isBlank(this.octets[at - 1] as number)) at--;
    return at;
  }

  /** Whether a value is this very word in any case. */
  isValueAt(index: number, lower: Uint8Array): boolean {
    return isValue(this.octets, this.valueStart(index), this.valueEnd(index), lower);
  }

  /** Whether a value is one element of another length than that: it is so of most lists. */
  isSingle(index: number, length: number): boolean {
    const start = this.valueStart(index);
    const end = this.valueEnd(index);
    if (end - start === length) return false;
    for (let at = start; at < end; at++) if (this.octets[at] === COMMA || this.octets[at] === LF) return false;
    return true;
  }

  /** Tells whether a field is there at all, by its id, as below. */
  has(id: number): boolean {
    return (this.seen & (1 << id)) !== 0;
  }

  /** Gives the first line of a field from line `from` on; -1 when there is none. */
  find(id: number, from = 0): number {
    if (((from === 0 ? this.seen : this.repeated) & (1 << id)) === 0) return -1;
    const { marks, count } = this;
    for (let mark = from * MARKS; mark < count; mark += MARKS) if (marks[mark + ID] === id) return mark / MARKS;
    return -1;
  }

  /** Whether a field is there in one line. */
  isOnce(id: number): boolean {
    return (this.seen & ~this.repeated & (1 << id)) !== 0;
  }

  /** Gives the values of all lines of a field, in order. */
  getAll(id: number): string[] {
    const values: string[] = [];
    for (let index = this.find(id); index >= 0; index = this.find(id, index + 1)) values.push(this.valueAt(index));
    return values;
  }

  /** Gives the value of a field that must not be repeated, or says that it was. */
  getOne(id: number): FieldLookup {
    if (!this.has(id)) return NONE;
    return this.isOnce(id) ? { kind: "one", value: this.valueAt(this.find(id)) } : MANY;
  }

  /** Gives the lines that `keeps` says yes to. */
  select(keeps: (id: number, index: number) => boolean): Fields {
    const { marks, count } = this;
    const kept = new Int32Array(count);
    let length = 0;
    let seen = 0;
    let repeated = 0;
    for (let index = 0; index < count / MARKS; index++) {
      const id = this.idAt(index);
      if (this.#isHidden(index) || !keeps(id, index)) continue;
      for (let at = index * MARKS; at < (index + 1) * MARKS; at++) kept[length++] = marks[at] as number;
      repeated |= seen & bitOf(id);
      seen |= bitOf(id);
    }
    return new Fields(this.octets, kept, length, { seen, repeated }, this.exact);
  }

  /** Gives the lines without those of the ids with a bit in `mask`. */
  without(mask: number): Fields {
    if ((this.seen & mask) === 0) return this;
    return new Fields(this.octets, this.marks, this.count, this, this.exact, this.hidden | mask);
  }

  /**
   * Copies the lines, which are exact, to offset `at` of `target`, and gives the
   * offset after them. The first `before` octets, a start line, go in front of
   * them; lines of the ids with a bit in `dropped` are left out.
   */
  fill(target: Uint8Array, at: number, before = 0, dropped = 0): number {
    const { octets, marks, count } = this;
    const hidden = this.hidden | dropped;
    let end = at;
    let from = 0;
    let to = before;
    for (let mark = 0; mark < count; mark += MARKS) {
      if ((bitOf(marks[mark + ID] as number) & hidden) !== 0) continue;
      const start = marks[mark] as number;
      // Lines that follow each other are copied at once.
      if (start !== to) {
        end = copyOctets(octets, from, to, target, end);
        from = start;
      }
      to = (marks[mark + END] as number) + LINE_END;
    }
    return copyOctets(octets, from, to, target, end);
  }

  #isHidden(index: number): boolean {
    return (bitOf(this.idAt(index)) & this.hidden) !== 0;
  }
}

const NONE: FieldLookup = { kind: "none" };
const MANY: FieldLookup = { kind: "many" };

/** The bit of an id in `Fields.seen`: all without an id of their own share the first. */
export function bitOf(id: number): number {
  return id < 32 ? 1 << id : 1;
}

/** Writes fields, whose names are tokens and whose values are field text, as lines. */
export function encodeFields(fields: readonly Field[]): Fields {
  let text = "";
  const marks = new Int32Array(fields.length * MARKS);
  let count = 0;
  let seen = 0;
  let repeated = 0;
  for (const { name, value } of fields) {
    const start = text.length;
    const colon = start + name.length;
    text += `${name}: ${value}\r\n`;
    const id = findFieldIdOf(name);
    marks[count++] = start;
    marks[count++] = id;
    marks[count++] = colon;
    marks[count++] = text.length - LINE_END;
    repeated |= seen & bitOf(id);
    seen |= bitOf(id);
  }
  return new Fields(Buffer.from(text, "latin1"), marks, count, { seen, repeated }, true);
}

/** Gives the fields with this value in the one line that is left of a field. */
export function withValue(fields: Fields, id: number, value: string): Fields {
  const first = fields.find(id);
  const lines = fields.select((each, index) => each !== id || index === first);
  return encodeFields(Array.from(lines, (line) => (findFieldIdOf(line.name) === id ? { ...line, value } : line)));
}

export const NO_FIELDS = encodeFields([]);

/** Joins the lines of a folded value by one space each. */
function unfold(value: string): string {
  const lines = value.split("\n").map((line) => trimBlanks(line.endsWith("\r") ? line.slice(0, -1) : line));
  return lines.filter((line) => line !== "").join(" ");
}

/** Removes SP and HTAB from both ends; unlike `trim()`, nothing else. */
export function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}
