import { HTAB, isToken, SP } from "./octets.ts";

/** One field line: the name as it was spelled, the value as latin1 without the white space around it. */
export interface Field {
  readonly name: string;
  readonly value: string;
}

/** The field lines of a message in the order in which they came. Names compare without regard to case. */
export type Fields = readonly Field[];

/** What a message says about a field that may occur once. */
export type FieldLookup =
  { readonly kind: "none" } | { readonly kind: "one"; readonly value: string } | { readonly kind: "many" };

/** Tells whether two field names are the same name (RFC 9110 §5.1). `lower` must already be in lower case. */
export function isNamed({ name }: Field, lower: string): boolean {
  if (name.length !== lower.length || (name.charCodeAt(0) | 0x20) !== lower.charCodeAt(0)) return false;
  return name === lower || name.toLowerCase() === lower;
}

/** Tells whether a field is there at all. `lower` is its name in lower case, here and below. */
export function hasField(fields: Fields, lower: string): boolean {
  for (const field of fields) if (isNamed(field, lower)) return true;
  return false;
}

/** Gives the values of all lines of a field, in order. */
export function getAll(fields: Fields, lower: string): string[] {
  const values: string[] = [];
  for (const field of fields) if (isNamed(field, lower)) values.push(field.value);
  return values;
}

const NONE: FieldLookup = { kind: "none" };
const MANY: FieldLookup = { kind: "many" };

/** Gives the value of a field that must not be repeated, or says that it was. */
export function getOne(fields: Fields, lower: string): FieldLookup {
  let found: Field | undefined;
  for (const field of fields) {
    if (!isNamed(field, lower)) continue;
    if (found !== undefined) return MANY;
    found = field;
  }
  return found === undefined ? NONE : { kind: "one", value: found.value };
}

/** Gives the fields less all lines with one of these names, in lower case. */
export function withoutFields(fields: Fields, ...lower: readonly string[]): Fields {
  return fields.filter((field) => !lower.some((name) => isNamed(field, name)));
}

/** Elements that a list may have, over all its lines, before it counts as an attack: ten times what real messages need. */
export const MAX_LIST_ELEMENTS = 256;

/**
 * Splits a list value at the commas that are outside of quoted strings
 * (RFC 9110 §5.6.1). Empty elements are left out and white space around
 * elements is removed. `undefined` for a quoted string without an end, or more
 * than `MAX_LIST_ELEMENTS` elements.
 */
export function splitList(value: string): string[] | undefined {
  if (!value.includes(",") && !value.includes('"')) {
    const only = trimBlanks(value);
    return only === "" ? [] : [only];
  }
  const elements: string[] = [];
  let start = 0;
  let quoted = false;
  for (let index = 0; index <= value.length; index++) {
    const character = index < value.length ? value[index] : ",";
    if (index < value.length && quoted) {
      if (character === "\\") index++;
      else if (character === '"') quoted = false;
      continue;
    }
    if (character === '"') quoted = true;
    if (character !== ",") continue;
    if (quoted) return undefined;
    const element = trimBlanks(value.slice(start, index));
    start = index + 1;
    if (element === "") continue;
    if (elements.length === MAX_LIST_ELEMENTS) return undefined;
    elements.push(element);
  }
  return quoted ? undefined : elements;
}

/**
 * Reads all lines of a field as one list of tokens in lower case, such as
 * `Connection` (RFC 9110 §7.6.1). Elements that are no tokens are left out.
 * `undefined` when a quoted string has no end or there are more than
 * `MAX_LIST_ELEMENTS`.
 */
export function getTokens(fields: Fields, lower: string): string[] | undefined {
  const tokens: string[] = [];
  for (const field of fields) {
    if (!isNamed(field, lower)) continue;
    const elements = splitList(field.value);
    if (elements === undefined) return undefined;
    for (const element of elements) {
      if (tokens.length === MAX_LIST_ELEMENTS) return undefined;
      if (isToken(element)) tokens.push(element.toLowerCase());
    }
  }
  return tokens;
}

/**
 * Tells whether a list field has the element, such as `close` in `Connection`,
 * without regard to case. Elements with parameters are not that element, and a
 * list that cannot be read has none.
 */
export function hasToken(fields: Fields, lower: string, token: string): boolean {
  const wanted = token.toLowerCase();
  for (const field of fields) {
    if (!isNamed(field, lower)) continue;
    if (splitList(field.value)?.some((element) => element.toLowerCase() === wanted) === true) return true;
  }
  return false;
}

/** Removes SP and HTAB from both ends; unlike `trim()`, nothing else. */
function trimBlanks(text: string): string {
  let from = 0;
  let to = text.length;
  while (from < to && isBlank(text.charCodeAt(from))) from++;
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--;
  return text.slice(from, to);
}

function isBlank(code: number): boolean {
  return code === SP || code === HTAB;
}
