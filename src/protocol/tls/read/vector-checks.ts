import { readUint16, type TlsBadCode } from "./byte-reader.ts";

/**
 * Checks of the contents of extensions, made once and kept in tables. They
 * create no objects: `ByteReader` decodes what was checked.
 */

/** Checks the contents of an extension, from `at` to `end`. Gives what is wrong; undefined when nothing is. */
export type CheckContents = (bytes: Uint8Array, at: number, end: number) => TlsBadCode | undefined;

/** Exactly `size` bytes. */
export function checkSize(size: number): CheckContents {
  return (_, at, end) => {
    if (end - at === size) return undefined;
    return end - at < size ? "truncated" : "trailing_bytes";
  };
}

/** A vector of numbers of `itemSize` bytes each, its length in `lengthSize` bytes, after `before` others. With an `itemSize` of 1 any vector of bytes. */
export function checkNumbers(lengthSize: 1 | 2, itemSize: 1 | 2, before = 0): CheckContents {
  return (bytes, at, end) => {
    const lengthAt = at + before;
    const start = lengthAt + lengthSize;
    if (start > end) return "truncated";
    const length = lengthSize === 1 ? (bytes[lengthAt] ?? 0) : readUint16(bytes, lengthAt);
    if (start + length > end || length % itemSize !== 0) return "truncated";
    return start + length < end ? "trailing_bytes" : undefined;
  };
}

/** The form of the items of a vector: `before` bytes, a vector of bytes whose length has `lengthSize` bytes, `after` bytes. */
export interface ItemForm {
  readonly before: number;
  readonly lengthSize: 1 | 2;
  readonly after: number;
}

/** Names of protocols, and the binders of pre-shared keys. */
export const SHORT_STRING: ItemForm = { before: 0, lengthSize: 1, after: 0 };

/** A vector of such items, its length in two bytes. */
export function checkItems(form: ItemForm): CheckContents {
  return (bytes, at, end) => {
    const itemsEnd = findVectorEnd(bytes, at, end);
    if (itemsEnd === -1 || countItems(bytes, at + 2, itemsEnd, form) === -1) return "truncated";
    return itemsEnd < end ? "trailing_bytes" : undefined;
  };
}

/** Where a vector ends whose length has two bytes; -1 when that is past `end`. */
export function findVectorEnd(bytes: Uint8Array, at: number, end: number): number {
  const start = at + 2;
  if (start > end) return -1;
  const vectorEnd = start + readUint16(bytes, at);
  return vectorEnd > end ? -1 : vectorEnd;
}

/** How many items there are; -1 when they do not fill the space to `end` exactly. */
export function countItems(bytes: Uint8Array, start: number, end: number, form: ItemForm): number {
  const { before, lengthSize, after } = form;
  let at = start;
  let count = 0;
  while (at < end) {
    const lengthAt = at + before;
    if (lengthAt + lengthSize > end) return -1;
    const length = lengthSize === 1 ? (bytes[lengthAt] ?? 0) : readUint16(bytes, lengthAt);
    at = lengthAt + lengthSize + length + after;
    count += 1;
  }
  return at === end ? count : -1;
}
