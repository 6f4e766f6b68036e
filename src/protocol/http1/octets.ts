/**
 * The classes of octets that HTTP/1.1 is made of (RFC 9110 §5.5, §5.6), as one
 * table, and the step between octets and the latin1 strings that stand for them.
 */

export const HTAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const COLON = 0x3a;

/** `tchar`: what methods, field names and most parameters are made of (RFC 9110 §5.6.2). */
export const TOKEN = 1;
/** HTAB, SP, VCHAR and obs-text: what a field value or a reason phrase may hold (RFC 9110 §5.5). */
export const TEXT = 2;
/** VCHAR and obs-text: no space, no control character. Clients send UTF-8 in a request-target as it is. */
export const VISIBLE = 4;
export const DIGIT = 8;

/** Octet → its classes, or-ed. */
export const octetClass: Uint8Array = buildTable();

function buildTable(): Uint8Array {
  const table = new Uint8Array(256);
  for (let octet = 0; octet < 256; octet++) {
    const character = String.fromCharCode(octet);
    let classes = 0;
    if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(character)) classes |= TOKEN;
    if (/[\t\x20-\x7e\x80-\xff]/.test(character)) classes |= TEXT;
    if (/[\x21-\x7e\x80-\xff]/.test(character)) classes |= VISIBLE;
    if (/[0-9]/.test(character)) classes |= DIGIT;
    table[octet] = classes;
  }
  return table;
}

/** Tells whether `text` is one `token` (RFC 9110 §5.6.2), which is never empty. */
export function isToken(text: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(text);
}

/** Tells whether `text` can stand as a field value: no CR, LF, NUL or other control character but HTAB, no character past one octet. */
export function isFieldText(text: string): boolean {
  return /^[\t\x20-\x7e\x80-\xff]*$/.test(text);
}

/** Reads octets `from` (inclusive) to `to` (exclusive) as latin1: one character an octet, nothing lost. */
export function decodeLatin1(bytes: Uint8Array, from: number, to: number): string {
  // Of a Buffer or not: it reads both, and a view for it would cost more than the reading.
  return Buffer.prototype.toString.call(bytes, "latin1", from, to);
}

/** Octets. Below this length a loop is cheaper than a call of the system's copy. */
const SHORT = 32;

const { copy } = Buffer.prototype;

/** Copies the octets between two offsets to offset `at` of `target`, and gives the offset after them. */
export function copyOctets(octets: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  const shift = at - from;
  if (to - from < SHORT) for (let index = from; index < to; index++) target[index + shift] = octets[index] as number;
  // Without a view, which costs more than the copy. It does the same for every Uint8Array.
  else copy.call(octets, target, at, from, to);
  return to + shift;
}
