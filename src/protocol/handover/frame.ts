import type { Parsed } from "../parsed.ts";

/**
 * The version of the protocol between a proxy and its successor. It is in every
 * frame. A change that an older program would misread gets another version.
 */
const HANDOVER_VERSION = 1;

/** Kinds of frames and their numbers. A number is never reused for another kind. */
export const FRAME_KINDS = {
  offer: 1,
  ready: 2,
  failed: 3,
  confirmed: 4,
  connections: 5,
  taken: 6,
  done: 7,
  leaving: 8,
  settled: 9,
  state: 10,
} as const;

export type FrameKind = keyof typeof FRAME_KINDS;

/** `PHOV`. */
const MAGIC = 0x50484f56;
/** Magic, version, kind, number of descriptors, length of the payload. */
const FRAME_HEADER_BYTES = 12;
/** SCM_MAX_FD of Linux: descriptors of one message. */
export const MAX_DESCRIPTORS = 253;
/** A connection holds at most some MiB of unsent bytes; this bounds what a broken peer makes us keep. */
export const MAX_PAYLOAD_BYTES = 16 * 1024 * 1024;

/** One message between the processes. Its descriptors travel beside its first byte. */
export interface Frame {
  readonly kind: FrameKind;
  /** How many descriptors belong to it. */
  readonly descriptors: number;
  /** A view of the parsed bytes. */
  readonly payload: Uint8Array;
}

export type FrameFault =
  "not_a_handover" | "unknown_version" | "unknown_kind" | "too_many_descriptors" | "payload_too_long";

const kinds = new Map<number, FrameKind>(Object.entries(FRAME_KINDS).map(([kind, code]) => [code, kind as FrameKind]));

/** Writes one frame. Throws when it is beyond the bounds, which callers keep. */
export function encodeFrame({ kind, descriptors, payload }: Frame): Uint8Array {
  if (descriptors > MAX_DESCRIPTORS || payload.length > MAX_PAYLOAD_BYTES)
    throw new RangeError(`A frame has ${descriptors} descriptors and ${payload.length} bytes`);
  const bytes = new Uint8Array(FRAME_HEADER_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, HANDOVER_VERSION);
  view.setUint8(5, FRAME_KINDS[kind]);
  view.setUint16(6, descriptors);
  view.setUint32(8, payload.length);
  bytes.set(payload, FRAME_HEADER_BYTES);
  return bytes;
}

/** Reads the frame at the beginning of `bytes`. Bad bytes are refused as soon as they are there. */
export function parseFrame(bytes: Uint8Array): Parsed<Frame, FrameFault> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < Math.min(4, bytes.length); at += 1)
    if (bytes[at] !== ((MAGIC >>> (24 - 8 * at)) & 0xff)) return { kind: "bad", code: "not_a_handover", at };
  if (bytes.length > 4 && bytes[4] !== HANDOVER_VERSION) return { kind: "bad", code: "unknown_version", at: 4 };
  const kind = kinds.get(bytes[5] ?? 0);
  if (bytes.length > 5 && kind === undefined) return { kind: "bad", code: "unknown_kind", at: 5 };
  const descriptors = bytes.length >= 8 ? view.getUint16(6) : 0;
  if (descriptors > MAX_DESCRIPTORS) return { kind: "bad", code: "too_many_descriptors", at: 6 };
  if (bytes.length < FRAME_HEADER_BYTES || kind === undefined) return { kind: "more" };
  const length = view.getUint32(8);
  if (length > MAX_PAYLOAD_BYTES) return { kind: "bad", code: "payload_too_long", at: 8 };
  const used = FRAME_HEADER_BYTES + length;
  if (bytes.length < used) return { kind: "more" };
  return { kind: "done", value: { kind, descriptors, payload: bytes.subarray(FRAME_HEADER_BYTES, used) }, used };
}

/** What is wrong, for the operator. */
export function describeFrameFault(fault: FrameFault): string {
  switch (fault) {
    case "not_a_handover":
      return "it does not speak the hand-over protocol";
    case "unknown_version":
      return `it speaks another version of the hand-over protocol, and this program speaks version ${HANDOVER_VERSION}`;
    case "unknown_kind":
      return "it sent a message of a kind that this program does not know";
    case "too_many_descriptors":
      return `it announced more than ${MAX_DESCRIPTORS} descriptors in one message`;
    case "payload_too_long":
      return `it announced a message of more than ${MAX_PAYLOAD_BYTES} bytes`;
  }
}
