import { type Fields, trimBlanks } from "./fields.ts";
import { isToken } from "./octets.ts";

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
export function getTokens(fields: Fields, id: number): string[] | undefined {
  const tokens: string[] = [];
  for (const value of fields.getAll(id)) {
    const elements = splitList(value);
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
export function hasToken(fields: Fields, id: number, token: string): boolean {
  const wanted = token.toLowerCase();
  for (let index = fields.find(id); index >= 0; index = fields.find(id, index + 1)) {
    if (fields.isSingle(index, wanted.length)) continue;
    if (splitList(fields.valueAt(index))?.some((element) => element.toLowerCase() === wanted) === true) return true;
  }
  return false;
}
