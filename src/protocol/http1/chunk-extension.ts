import { CR, HTAB, LF, octetClass, SP, TEXT, TOKEN } from "./octets.ts";

const SEMICOLON = 0x3b;
const EQUALS = 0x3d;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** The state right after the last digit of a chunk size. */
export const AFTER_SIZE = 0;
/** The octet was the CR or LF that ends the line. */
export const EXTENSION_END = -1;
/** The octet cannot stand where it does. */
export const EXTENSION_BAD = -2;

const BEFORE_SEMICOLON = 1;
const NAME_START = 2;
const NAME = 3;
const AFTER_NAME = 4;
const VALUE_START = 5;
const VALUE = 6;
const QUOTED = 7;
const QUOTED_PAIR = 8;
const QUOTED_END = 9;

/**
 * Takes one octet of what may stand between a chunk size and its line end, and gives
 * the next state (RFC 9112 §7.1.1):
 * `*( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )`.
 * White space before the line end is let pass, as in `2  CRLF`: servers pad sizes.
 */
export function stepChunkExtension(state: number, octet: number): number {
  const classes = octetClass[octet] as number;
  const isBlank = octet === SP || octet === HTAB;
  switch (state) {
    case NAME_START:
      if (isBlank) return NAME_START;
      return (classes & TOKEN) === 0 ? EXTENSION_BAD : NAME;
    case VALUE_START:
      if (isBlank) return VALUE_START;
      if (octet === QUOTE) return QUOTED;
      return (classes & TOKEN) === 0 ? EXTENSION_BAD : VALUE;
    case QUOTED:
      if (octet === QUOTE) return QUOTED_END;
      if (octet === BACKSLASH) return QUOTED_PAIR;
      return (classes & TEXT) === 0 ? EXTENSION_BAD : QUOTED;
    case QUOTED_PAIR:
      return (classes & TEXT) === 0 ? EXTENSION_BAD : QUOTED;
    case NAME:
    case VALUE:
      if ((classes & TOKEN) !== 0) return state;
  }
  const isNameBefore = state === NAME || state === AFTER_NAME;
  if (octet === SEMICOLON) return NAME_START;
  if (isBlank) return isNameBefore ? AFTER_NAME : BEFORE_SEMICOLON;
  if (octet === EQUALS && isNameBefore) return VALUE_START;
  return octet === CR || octet === LF ? EXTENSION_END : EXTENSION_BAD;
}
