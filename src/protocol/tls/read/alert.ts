/** Why a connection is refused, as a TLS client understands it, with its number (IANA TLS Alerts). */
const DESCRIPTIONS = {
  handshake_failure: 40,
  access_denied: 49,
  decode_error: 50,
  protocol_version: 70,
  internal_error: 80,
  unrecognized_name: 112,
} as const;

/** Content types of records (RFC 8446 §5.1). */
const ALERT = 0x15;
const APPLICATION_DATA = 0x17;

/**
 * A record with one fatal alert, for a client whose ClientHello is answered by
 * nobody else: 7 bytes. RFC 8446 §6.2; the record has the version 0x0303,
 * which every client takes before it knows better.
 */
export function encodeFatalAlert(description: keyof typeof DESCRIPTIONS): Uint8Array {
  return Uint8Array.of(ALERT, 3, 3, 0, 2, 2, DESCRIPTIONS[description]);
}

/** Octets of the longest record that an alert comes in: with the padding and the MAC of TLS 1.2's oldest suites. */
export const MAX_ALERT_BYTES = 128;

const HEADER_BYTES = 5;
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
