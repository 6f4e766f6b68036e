import { decodeLatin1 } from "../../http1/octets.ts";

/**
 * A cursor over bytes for formats made of big-endian numbers and
 * length-prefixed vectors (RFC 8446 §3). It never throws: a read past the end
 * gives zeros or nothing, leaves the cursor where it was, and sets `short`, so
 * that a parser reads on and asks once, at the end, whether all was there.
 *
 * The bytes it gives out are views of the ones it was given.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Offset of the next byte, in `bytes`. */
  at: number;
  /** Offset after the last byte that belongs to this reader, in `bytes`. */
  readonly end: number;
  /** Whether something was read that is not there. Once true, stays true. */
  short = false;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  /** Bytes not read yet; 0 once `short`. */
  get left(): number {
    return this.short ? 0 : this.end - this.at;
  }

  /** An unsigned number of `size` bytes, at most 4. */
  uint(size: 1 | 2 | 3 | 4): number {
    const { bytes, at } = this;
    if (this.short || this.end - at < size) {
      this.short = true;
      return 0;
    }
    this.at = at + size;
    let value = bytes[at] ?? 0;
    for (let index = 1; index < size; index++) value = value * 256 + (bytes[at + index] ?? 0);
    return value;
  }

  /** Passes over the next `length` bytes; whether they were there. */
  skip(length: number): boolean {
    if (this.short || this.end - this.at < length) {
      this.short = true;
      return false;
    }
    this.at += length;
    return true;
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array {
    const { at } = this;
    return this.skip(length) ? this.bytes.subarray(at, at + length) : NO_BYTES;
  }

  /** Everything that is left. */
  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** Everything that is left as text, one character for each byte. */
  text(): string {
    const { at, left } = this;
    this.skip(left);
    return decodeLatin1(this.bytes, at, at + left);
  }

  /** The contents of a vector whose length comes first, in `size` bytes, as a reader of its own: `left` is its length. */
  vector(size: 1 | 2 | 3): ByteReader {
    const length = this.uint(size);
    const start = this.at;
    this.skip(length);
    const inner = new ByteReader(this.bytes, start, this.at);
    inner.short = this.short;
    return inner;
  }
}

const NO_BYTES = new Uint8Array(0);

/**
 * The closed set of what can be wrong with a TLS message:
 * - `truncated`: a length points past the end of what contains it.
 * - `trailing_bytes`: something is left over where nothing may be.
 * - `duplicate_extension`: RFC 8446 §4.2 allows one of each type.
 * - `misplaced_extension`: `pre_shared_key` is not the last one, RFC 8446 §4.2.11.
 * - `bad_server_name`: not exactly one host name of visible ASCII, RFC 6066 §3.
 * - `bad_value`: a field has a value that it can never have.
 */
export type TlsBadCode =
  "truncated" | "trailing_bytes" | "duplicate_extension" | "misplaced_extension" | "bad_server_name" | "bad_value";

/** What parsing a message gives when all its bytes are there: like `Parsed`, without `more`. `at` counts from the start of the message's body. */
export type ParsedBody<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "bad"; readonly code: TlsBadCode; readonly at: number };

/** Ends the parsing of a body: `value` if the reader got all it asked for and nothing is left over. */
export function finishBody<T>(reader: ByteReader, value: T): ParsedBody<T> {
  if (reader.short) return { kind: "bad", code: "truncated", at: reader.at };
  if (reader.left > 0) return { kind: "bad", code: "trailing_bytes", at: reader.at };
  return { kind: "done", value };
}

/** Reads a vector of numbers of `itemSize` bytes each. An incomplete last one marks `reader` as short. */
export function readNumbers(reader: ByteReader, lengthSize: 1 | 2, itemSize: 1 | 2): number[] {
  const length = reader.uint(lengthSize);
  const { bytes, at } = reader;
  const numbers: number[] = [];
  if (!reader.skip(length)) return numbers;
  if (length % itemSize !== 0) reader.short = true;
  else if (itemSize === 1) for (let each = at; each < at + length; each++) numbers.push(bytes[each] ?? 0);
  else
    for (let each = at; each < at + length; each += 2) numbers.push(((bytes[each] ?? 0) << 8) | (bytes[each + 1] ?? 0));
  return numbers;
}

/** Reads a vector of byte strings as text, one character for each byte, so that nothing is lost. */
export function readStrings(reader: ByteReader, lengthSize: 1 | 2, itemLengthSize: 1 | 2): string[] {
  const list = reader.vector(lengthSize);
  const strings: string[] = [];
  while (list.left > 0) strings.push(list.vector(itemLengthSize).text());
  if (list.short) reader.short = true;
  return strings;
}

/** The number of two bytes at an offset; zeros stand for what is not there. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}
