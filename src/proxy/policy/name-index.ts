const DOT = 0x2e;
/** Offset basis and prime of FNV-1a, 32 bits. */
const HASH_START = 0x811c9dc5;
const HASH_FACTOR = 0x01000193;
/** Stands for each octet of ASCII in a hash, in this process alone: whoever writes a list cannot choose names with equal hashes. */
const marks = crypto.getRandomValues(new Uint32Array(128));

/** A table of values by name: one for the name itself, one for every name below it. 0 is no value. */
interface Columns {
  /** Pairs of a hash and an entry, open addressing; 0 for a free slot, else the entry + 1. */
  readonly slots: Uint32Array;
  /** The names in ASCII, one after the other. */
  readonly text: Uint8Array;
  /** End of each entry's name in `text`; it begins at the end of the one before. */
  readonly ends: Uint32Array;
  readonly exact: Uint32Array;
  readonly below: Uint32Array;
}

const none: readonly number[] = [];

/**
 * Finds what belongs to a name and to the suffixes of it, in one pass over its characters. Names are
 * canonical: lower case ASCII without a dot at the end.
 */
export class NameIndex {
  readonly #columns: Columns;
  /** By length of a name: whether the table has values for it, and for names below it. */
  readonly #exactLengths: Uint8Array;
  readonly #belowLengths: Uint8Array;

  constructor(columns: Columns) {
    this.#columns = columns;
    const { ends, exact, below } = columns;
    // Without a list of lengths: a million names are one step.
    let longest = 0;
    for (let entry = 0, start = 0; entry < ends.length; start = ends[entry++] as number)
      longest = Math.max(longest, (ends[entry] as number) - start);
    this.#exactLengths = new Uint8Array(longest + 1);
    this.#belowLengths = new Uint8Array(longest + 1);
    for (let entry = 0, start = 0; entry < ends.length; start = ends[entry++] as number) {
      const length = (ends[entry] as number) - start;
      if (exact[entry] !== 0) this.#exactLengths[length] = 1;
      if (below[entry] !== 0) this.#belowLengths[length] = 1;
    }
  }

  /** The values of the name itself, and of each `*.suffix` that holds the name. */
  find(name: string): readonly number[] {
    const columns = this.#columns;
    const { length } = name;
    const longest = this.#belowLengths.length - 1;
    const isExact = this.#exactLengths[length] === 1;
    let found = none as number[];
    let hash = HASH_START;
    const first = isExact ? 0 : Math.max(1, length - longest - 1);
    for (let at = length - 1; at >= first; at--) {
      const code = name.charCodeAt(at);
      if (code === DOT && at > 0 && this.#belowLengths[length - at - 1] === 1) {
        const entry = findEntry(columns, hash, name, at + 1);
        const value = entry < 0 ? 0 : (columns.below[entry] as number);
        if (value !== 0) found = add(found, value);
      }
      hash = addToHash(hash, code);
    }
    if (!isExact) return found;
    const entry = findEntry(columns, hash, name, 0);
    const value = entry < 0 ? 0 : (columns.exact[entry] as number);
    return value === 0 ? found : add(found, value);
  }
}

/** FNV-1a, keyed. Names are ASCII. */
function addToHash(hash: number, code: number): number {
  return Math.imul(hash ^ (marks[code] as number), HASH_FACTOR);
}

function add(found: number[], value: number): number[] {
  if (found.length === 0) return [value];
  found.push(value);
  return found;
}

/** The entry of the name that `text` has from `from` on, whose hash is known; -1 for none. */
function findEntry(
  { slots, text, ends }: Pick<Columns, "slots" | "text" | "ends">,
  hash: number,
  name: string,
  from: number,
): number {
  const mask = slots.length - 1;
  for (let at = placeOf(hash, mask); ; at = (at + 2) & mask) {
    const entry = (slots[at + 1] as number) - 1;
    if (entry < 0) return -1;
    if (
      slots[at] === hash >>> 0 &&
      isSame(text, entry === 0 ? 0 : (ends[entry - 1] as number), ends[entry] as number, name, from)
    )
      return entry;
  }
}

/** The first slot for a hash. The low bits of FNV are its weakest. */
function placeOf(hash: number, mask: number): number {
  return ((hash ^ (hash >>> 15)) << 1) & mask;
}

function isSame(text: Uint8Array, start: number, end: number, name: string, from: number): boolean {
  if (end - start !== name.length - from) return false;
  for (let at = start; at < end; at++) if (text[at] !== name.charCodeAt(from + at - start)) return false;
  return true;
}

/** Collects names and their values. */
export class NameIndexBuilder {
  #slots = new Uint32Array(32);
  #text = new Uint8Array(256);
  #ends = new Uint32Array(8);
  #size = 0;
  readonly exact: number[] = [];
  readonly below: number[] = [];

  /** The entry of a name, whose values are `exact[entry]` and `below[entry]`. Both begin with 0. */
  enter(name: string): number {
    let hash = HASH_START;
    for (let at = name.length - 1; at >= 0; at--) hash = addToHash(hash, name.charCodeAt(at));
    const known = findEntry({ slots: this.#slots, text: this.#text, ends: this.#ends }, hash, name, 0);
    return known >= 0 ? known : this.#insert(hash, name);
  }

  build(): NameIndex {
    const { length } = this.exact;
    const ends = this.#ends.slice(0, length);
    return new NameIndex({
      slots: this.#slots,
      text: this.#text.slice(0, this.#size),
      ends,
      exact: Uint32Array.from(this.exact),
      below: Uint32Array.from(this.below),
    });
  }

  #insert(hash: number, name: string): number {
    const entry = this.exact.length;
    // At most half of the slots are taken.
    if ((entry + 1) * 4 > this.#slots.length) this.#slots = widen(this.#slots);
    if (entry === this.#ends.length) this.#ends = extend(this.#ends, new Uint32Array(entry * 2));
    if (this.#size + name.length > this.#text.length)
      this.#text = extend(this.#text, new Uint8Array((this.#text.length + name.length) * 2));
    for (let at = 0; at < name.length; at++) this.#text[this.#size + at] = name.charCodeAt(at);
    this.#size += name.length;
    this.#ends[entry] = this.#size;
    this.exact.push(0);
    this.below.push(0);
    occupy(this.#slots, hash >>> 0, entry + 1);
    return entry;
  }
}

function extend<Column extends Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}

/** The same slots in twice the room. */
function widen(slots: Uint32Array): Uint32Array<ArrayBuffer> {
  const wider = new Uint32Array(slots.length * 2);
  for (let at = 0; at < slots.length; at += 2)
    if (slots[at + 1] !== 0) occupy(wider, slots[at] as number, slots[at + 1] as number);
  return wider;
}

function occupy(slots: Uint32Array, hash: number, value: number): void {
  const mask = slots.length - 1;
  let at = placeOf(hash, mask);
  while (slots[at + 1] !== 0) at = (at + 2) & mask;
  slots[at] = hash;
  slots[at + 1] = value;
}
