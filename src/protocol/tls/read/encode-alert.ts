/** Why a connection is refused, as a TLS client understands it, with its number (IANA TLS Alerts). */
const DESCRIPTIONS = {
  handshake_failure: 40,
  access_denied: 49,
  decode_error: 50,
  protocol_version: 70,
  internal_error: 80,
  unrecognized_name: 112,
} as const;

/**
 * A record with one fatal alert, for a client whose ClientHello is answered by
 * nobody else: 7 bytes. RFC 8446 §6.2; the record has the version 0x0303,
 * which every client takes before it knows better.
 */
export function encodeFatalAlert(description: keyof typeof DESCRIPTIONS): Uint8Array {
  return Uint8Array.of(0x15, 3, 3, 0, 2, 2, DESCRIPTIONS[description]);
}
