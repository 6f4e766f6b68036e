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
    if (this.left < size) {
      this.short = true;
      return 0;
    }
    let value = 0;
    for (let index = 0; index < size; index++) value = value * 256 + (this.bytes[this.at + index] ?? 0);
    this.at += size;
    return value;
  }

  /** The next `length` bytes. */
  take(length: number): Uint8Array {
    if (this.left < length) {
      this.short = true;
      return this.bytes.subarray(0, 0);
    }
    const start = this.at;
    this.at += length;
    return this.bytes.subarray(start, this.at);
  }

  /** Everything that is left. */
  rest(): Uint8Array {
    return this.take(this.left);
  }

  /** The contents of a vector whose length comes first, in `size` bytes, as a reader of its own. */
  vector(size: 1 | 2 | 3): ByteReader {
    const length = this.uint(size);
    const start = this.at;
    this.take(length);
    const inner = new ByteReader(this.bytes, start, this.at);
    inner.short = this.short;
    return inner;
  }
}

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
  const list = reader.vector(lengthSize);
  const numbers: number[] = [];
  while (list.left > 0) numbers.push(list.uint(itemSize));
  if (list.short) reader.short = true;
  return numbers;
}

/** Reads a vector of byte strings as text, one character for each byte, so that nothing is lost. */
export function readStrings(reader: ByteReader, lengthSize: 1 | 2, itemLengthSize: 1 | 2): string[] {
  const list = reader.vector(lengthSize);
  const strings: string[] = [];
  while (list.left > 0) strings.push(decodeLatin1(list.vector(itemLengthSize).rest()));
  if (list.short) reader.short = true;
  return strings;
}

/** One character for each byte, U+0000 to U+00FF. */
export function decodeLatin1(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
