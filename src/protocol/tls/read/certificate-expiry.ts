const INTEGER = 0x02;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const VERSION = 0xa0;
const ZERO = 0x30;
const ZULU = 0x5a;

/**
 * Reads when a certificate ends (`notAfter`, RFC 5280 §4.1.2.5) from its DER:
 * milliseconds since the epoch, or undefined when it is not there. It walks to
 * that field and looks at nothing else, for those who read every certificate
 * that passes, so the rest need not be there; `explainChain` reads all of it.
 * Nothing from `end` on is looked at; offsets and not a view, see `decodeLatin1`.
 */
export function readCertificateExpiry(der: Uint8Array, start = 0, end = der.length): number | undefined {
  let at = enter(der, enter(der, start, end, SEQUENCE), end, SEQUENCE);
  if (der[at] === VERSION) at = pass(der, at, end, VERSION);
  at = pass(der, at, end, INTEGER);
  // Signature algorithm and issuer, then validity.
  at = pass(der, pass(der, at, end, SEQUENCE), end, SEQUENCE);
  at = enter(der, at, end, SEQUENCE);
  at = pass(der, at, end, der[at] === GENERALIZED_TIME ? GENERALIZED_TIME : UTC_TIME);
  return readTime(der, at, end);
}

/** Offset of the contents of the value at `at`; `end` or past it when it is not of that tag. */
function enter(der: Uint8Array, at: number, end: number, tag: number): number {
  if (at >= end || der[at] !== tag) return end;
  const first = der[at + 1] ?? 0;
  return at + 2 + (first < 0x80 ? 0 : first & 0x7f);
}

/** Offset after the value at `at`; `end` when it is not of that tag, or not all there. */
function pass(der: Uint8Array, at: number, end: number, tag: number): number {
  const start = enter(der, at, end, tag);
  if (start >= end) return end;
  const first = der[at + 1] ?? 0;
  let length = first;
  if (first >= 0x80) {
    // Up to three bytes of length: no certificate in TLS is larger.
    if (first === 0x80 || first > 0x83) return end;
    length = 0;
    for (let each = at + 2; each < start; each += 1) length = length * 256 + (der[each] ?? 0);
  }
  return Math.min(start + length, end);
}

/** `YYMMDDHHMMSSZ` up to 2049, `YYYYMMDDHHMMSSZ` from 2050 on: always with seconds, always in UTC. */
function readTime(der: Uint8Array, at: number, end: number): number | undefined {
  const isWide = der[at] === GENERALIZED_TIME;
  const length = isWide ? 15 : 13;
  const last = at + 1 + length;
  if (last >= end || (!isWide && der[at] !== UTC_TIME) || der[at + 1] !== length || der[last] !== ZULU)
    return undefined;
  const first = readDigits(der, at + 2);
  const century = first < 50 ? 2000 : 1900;
  const year = isWide ? first * 100 + readDigits(der, at + 4) : century + first;
  const monthAt = last - 10;
  const time = Date.UTC(
    year,
    readDigits(der, monthAt) - 1,
    readDigits(der, monthAt + 2),
    readDigits(der, monthAt + 4),
    readDigits(der, monthAt + 6),
    readDigits(der, monthAt + 8),
  );
  return Number.isNaN(time) ? undefined : time;
}

/** A number of two decimal digits; NaN when they are none. */
function readDigits(der: Uint8Array, at: number): number {
  const tens = (der[at] ?? 0) - ZERO;
  const units = (der[at + 1] ?? 0) - ZERO;
  return tens >= 0 && tens <= 9 && units >= 0 && units <= 9 ? tens * 10 + units : NaN;
}
