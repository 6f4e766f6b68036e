import { HTAB, SP } from "./octets.ts";

/** Field names that mean something to a reader, by their length. Each stands for a number other than `ORDINARY`. */
export type NameTable = readonly (readonly KnownName[] | undefined)[];

interface KnownName {
  readonly lower: Uint8Array;
  readonly kind: number;
}

/** A field that is in no table. */
const ORDINARY = 0;

/** Makes a table of names in lower case: letters and hyphens. */
export function createNameTable(kinds: readonly (readonly [name: string, kind: number])[]): NameTable {
  const table: KnownName[][] = [];
  for (const [name, kind] of kinds) (table[name.length] ??= []).push({ lower: encodeLower(name), kind });
  return Array.from(table);
}

/** Gives the octets of letters and hyphens in lower case, for `isValue`. */
export function encodeLower(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Looks up the field name between two offsets, which is a token. */
export function nameField(table: NameTable, bytes: Uint8Array, from: number, to: number): number {
  const known = table[to - from];
  if (known === undefined) return ORDINARY;
  for (let index = 0; index < known.length; index++) {
    const { lower, kind } = known[index] as KnownName;
    if (equalsLower(bytes, from, lower)) return kind;
  }
  return ORDINARY;
}

/**
 * Whether the octets at `from` are `lower` in any case. That bit makes a lower
 * case letter of no other octet that may be in a token or a value, and a hyphen of none.
 */
function equalsLower(bytes: Uint8Array, from: number, lower: Uint8Array): boolean {
  for (let index = 0; index < lower.length; index++) {
    if (((bytes[from + index] as number) | 0x20) !== lower[index]) return false;
  }
  return true;
}

/** Whether the value between two offsets is this very word, white space around it aside. */
export function isValue(bytes: Uint8Array, from: number, to: number, lower: Uint8Array): boolean {
  let start = from;
  let end = to;
  while (start < end && isBlank(bytes[start] as number)) start++;
  while (end > start && isBlank(bytes[end - 1] as number)) end--;
  return end - start === lower.length && equalsLower(bytes, start, lower);
}

/** SP or HTAB. */
export function isBlank(octet: number): boolean {
  return octet === SP || octet === HTAB;
}
