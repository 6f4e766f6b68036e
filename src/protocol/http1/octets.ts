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
/** What most authorities are made of; others may have more (RFC 3986 §3.2). */
export const PLAIN_AUTHORITY = 16;
/** What a path and a query have: all that is visible but `#`. */
export const PLAIN_PATH = 32;

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
    if (/[A-Za-z0-9.\-:[\]]/.test(character)) classes |= PLAIN_AUTHORITY;
    if (/[\x21\x22\x24-\x7e\x80-\xff]/.test(character)) classes |= PLAIN_PATH;
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
