import type { Parsed } from "../../parsed.ts";

/** What a TLS record carries, RFC 8446 §5.1 and RFC 6520. */
export type ContentType = "change_cipher_spec" | "alert" | "handshake" | "application_data" | "heartbeat";

/** The five bytes before the payload of a record. */
export interface RecordHeader {
  readonly type: ContentType;
  /** 0x0300 to 0x0304, and in practice no more than 0x0303. */
  readonly version: number;
  /** Bytes of the payload. */
  readonly length: number;
}

const TYPES: readonly ContentType[] = ["change_cipher_spec", "alert", "handshake", "application_data", "heartbeat"];
const FIRST_TYPE = 20;
/** RFC 5246 §6.2.3; TLS 1.3 allows only 256 bytes more than 2^14. */
const MAX_PAYLOAD_BYTES = (1 << 14) + 2048;

/** Parses the header at the start of `bytes`. Refuses a wrong byte as soon as it is there. */
export function readRecordHeader(bytes: Uint8Array): Parsed<RecordHeader, "bad_type" | "bad_version" | "bad_length"> {
  const [typeCode, major, minor, high, low] = bytes;
  if (typeCode === undefined) return { kind: "more" };
  const type = TYPES[typeCode - FIRST_TYPE];
  if (type === undefined) return { kind: "bad", code: "bad_type", at: 0 };
  if (major === undefined) return { kind: "more" };
  if (major !== 3) return { kind: "bad", code: "bad_version", at: 1 };
  if (minor === undefined) return { kind: "more" };
  if (minor > 4) return { kind: "bad", code: "bad_version", at: 2 };
  if (high === undefined || low === undefined) return { kind: "more" };
  const length = (high << 8) | low;
  if (length > MAX_PAYLOAD_BYTES) return { kind: "bad", code: "bad_length", at: 3 };
  const value = { type, version: (major << 8) | minor, length };
  return { kind: "done", value, used: 5 };
}
