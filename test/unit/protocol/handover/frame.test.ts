import { describe, expect, test } from "bun:test";
import {
  encodeFrame,
  type Frame,
  FRAME_KINDS,
  type FrameKind,
  MAX_PAYLOAD_BYTES,
  parseFrame,
} from "../../../../src/protocol/handover/frame.ts";

const frame: Frame = { kind: "connections", descriptors: 2, payload: Buffer.from('{"batch":1}') };
const bytes = encodeFrame(frame);

/** The bytes with others from `at` on. */
function change(at: number, ...values: readonly number[]): Uint8Array {
  const changed = bytes.slice();
  changed.set(values, at);
  return changed;
}

describe("a frame", () => {
  test.each(Object.keys(FRAME_KINDS) as FrameKind[])("of kind %s is read as it was written", (kind) => {
    const written: Frame = { kind, descriptors: 253, payload: Buffer.from("ü".repeat(1000)) };
    const read = parseFrame(encodeFrame(written));
    expect(read).toMatchObject({ kind: "done", used: 2012 });
    if (read.kind !== "done") return;
    expect({ ...read.value, payload: Buffer.from(read.value.payload) } as Frame).toEqual(written);
  });

  test("is known byte by byte, at its last one", () => {
    for (let length = 0; length < bytes.length; length += 1)
      expect(parseFrame(bytes.subarray(0, length))).toEqual({ kind: "more" });
    expect(parseFrame(bytes)).toMatchObject({ kind: "done", used: bytes.length });
  });

  test("leaves the bytes after it to the caller", () => {
    const both = Buffer.concat([bytes, bytes, Buffer.from("PH")]);
    const first = parseFrame(both);
    expect(first).toMatchObject({ kind: "done", used: bytes.length });
    expect(parseFrame(both.subarray(bytes.length))).toMatchObject({ kind: "done", used: bytes.length });
    expect(parseFrame(both.subarray(2 * bytes.length))).toEqual({ kind: "more" });
  });

  test("is read from a view into other bytes", () => {
    const around = Buffer.concat([Buffer.from("xxx"), bytes, Buffer.from("yyy")]);
    expect(parseFrame(around.subarray(3))).toMatchObject({ kind: "done", value: { descriptors: 2 } });
  });

  test.each([
    ["is no hand-over", change(0, 0x47), "not_a_handover", 0],
    ["is no hand-over at its fourth byte", change(3, 0), "not_a_handover", 3],
    ["is of the version before", change(4, 0), "unknown_version", 4],
    ["is of a later version", change(4, 2), "unknown_version", 4],
    ["is of no kind", change(5, 0), "unknown_kind", 5],
    ["is of a later kind", change(5, 11), "unknown_kind", 5],
    ["has 254 descriptors", change(6, 0, 254), "too_many_descriptors", 6],
    ["is longer than a frame may be", change(8, 1, 0, 0, 1), "payload_too_long", 8],
  ] as const)("that %s is refused as soon as that is known", (_, changed, code, at) => {
    expect(parseFrame(changed)).toEqual({ kind: "bad", code, at });
    const known = { not_a_handover: at + 1, unknown_version: 5, unknown_kind: 6, too_many_descriptors: 8 };
    const needed = code === "payload_too_long" ? 12 : known[code];
    expect(parseFrame(changed.subarray(0, needed))).toEqual({ kind: "bad", code, at });
    expect(parseFrame(changed.subarray(0, needed - 1))).toEqual({ kind: "more" });
  });

  test("beyond the bounds cannot be written", () => {
    expect(() => encodeFrame({ ...frame, descriptors: 254 })).toThrow(RangeError);
    expect(() => encodeFrame({ ...frame, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) })).toThrow(RangeError);
  });
});
