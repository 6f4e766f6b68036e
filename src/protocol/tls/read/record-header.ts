/** What a TLS record carries, RFC 8446 §5.1 and RFC 6520. */
export type ContentType = "change_cipher_spec" | "alert" | "handshake" | "application_data" | "heartbeat";

/** The bytes before the payload of a record: type, version, length. */
export const RECORD_HEADER_BYTES = 5;

const TYPES: readonly ContentType[] = ["change_cipher_spec", "alert", "handshake", "application_data", "heartbeat"];
const FIRST_TYPE = 20;
/** RFC 5246 §6.2.3; TLS 1.3 allows only 256 bytes more than 2^14. */
const MAX_PAYLOAD_BYTES = (1 << 14) + 2048;

/** What the record carries whose header begins at `at`; undefined when the header is not valid: of another type, not of SSL 3.0 to TLS 1.3, or too long. */
export function readContentType(bytes: Uint8Array, at: number): ContentType | undefined {
  if (bytes[at + 1] !== 3 || (bytes[at + 2] ?? 0) > 4) return undefined;
  if ((((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0)) > MAX_PAYLOAD_BYTES) return undefined;
  return TYPES[(bytes[at] ?? 0) - FIRST_TYPE];
}
