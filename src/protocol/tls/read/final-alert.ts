/** Octets of the longest record that an alert comes in: with the padding and the MAC of TLS 1.2's oldest suites. */
export const MAX_ALERT_BYTES = 128;

const HEADER_BYTES = 5;
const ALERT = 0x15;
const APPLICATION_DATA = 0x17;

/** An alert of two octets in TLS 1.3: with its content type, and a tag of sixteen octets or of eight (RFC 8446 §5.2, §6). */
const ENCRYPTED_ALERT_LENGTHS: readonly number[] = [19, 11];

/**
 * Whether the last record of a TLS connection, whose end `tail` is, is an alert.
 * TLS 1.2 says so in clear; in TLS 1.3 the length has to tell, which two octets
 * of data have, too.
 */
export function endsWithAlert(tail: Uint8Array): boolean {
  for (let at = Math.max(0, tail.length - MAX_ALERT_BYTES); at + HEADER_BYTES < tail.length; at++) {
    const length = tail.length - at - HEADER_BYTES;
    if (tail[at + 1] !== 3 || tail[at + 3] !== 0 || tail[at + 4] !== length) continue;
    if (tail[at] === ALERT) return true;
    if (tail[at] === APPLICATION_DATA && ENCRYPTED_ALERT_LENGTHS.includes(length)) return true;
  }
  return false;
}
