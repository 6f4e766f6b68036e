import { describe, expect, test } from "bun:test";
import {
  acceptKey,
  type ClientFrame,
  ClientFrames,
  type FrameType,
  writeClose,
  writeFrame,
} from "../../../../src/protocol/websocket/frame.ts";

const opcodes: Record<FrameType, number> = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

/** A frame as a client sends it. */
function mask(type: FrameType, payload: Uint8Array, { fin = true, key = [1, 2, 3, 4] } = {}): Buffer {
  const { length } = payload;
  const head = Buffer.from(writeFrame(type, new Uint8Array(length))).subarray(0, -length || undefined);
  head[0] = (fin ? 0x80 : 0) | opcodes[type];
  head[1] = (head[1] ?? 0) | 0x80;
  return Buffer.concat([head, Buffer.from(key), payload.map((byte, at) => byte ^ (key[at % 4] ?? 0))]);
}

function show(frames: readonly ClientFrame[] | number): unknown {
  if (typeof frames === "number") return frames;
  return frames.map(({ type, payload }) => [type, Buffer.from(payload).toString()]);
}

describe("writeFrame()", () => {
  test("writes the length in one, two or eight bytes", () => {
    expect(Buffer.from(writeFrame("text", Buffer.from("Hello"))).toString("hex")).toBe("810548656c6c6f"); // RFC 6455 §5.7
    expect(
      Buffer.from(writeFrame("text", new Uint8Array(125)))
        .subarray(0, 2)
        .toString("hex"),
    ).toBe("817d");
    expect(
      Buffer.from(writeFrame("text", new Uint8Array(126)))
        .subarray(0, 4)
        .toString("hex"),
    ).toBe("817e007e");
    expect(
      Buffer.from(writeFrame("binary", new Uint8Array(65_535)))
        .subarray(0, 4)
        .toString("hex"),
    ).toBe("827effff");
    expect(
      Buffer.from(writeFrame("text", new Uint8Array(65_536)))
        .subarray(0, 10)
        .toString("hex"),
    ).toBe("817f0000000000010000");
    expect(Buffer.from(writeClose(1001)).toString("hex")).toBe("880203e9");
  });
});

describe("ClientFrames", () => {
  const stream = Buffer.concat([
    mask("ping", Buffer.from("a")),
    mask("text", Buffer.from("x".repeat(300))),
    mask("pong", Buffer.alloc(0)),
    mask("text", Buffer.from("one"), { fin: false }),
    mask("ping", Buffer.from("between")),
    mask("continuation", Buffer.from("two")),
    mask("close", Buffer.from([3, 232])),
  ]);
  const expected = [
    ["ping", "a"],
    ["text", ""],
    ["pong", ""],
    ["text", ""],
    ["ping", "between"],
    ["continuation", ""],
    ["close", "\u0003\ufffd"],
  ];

  test("reads control frames whole and passes over data, however the bytes are cut", () => {
    expect(show(new ClientFrames().read(stream))).toEqual(expected);
    for (const size of [1, 2, 3, 7, 100]) {
      const frames = new ClientFrames();
      const all: unknown[] = [];
      for (let at = 0; at < stream.length; at += size)
        all.push(...(show(frames.read(stream.subarray(at, at + size))) as unknown[]));
      expect(all).toEqual(expected);
    }
  });

  test("refuses what no client may send", () => {
    expect(new ClientFrames().read(writeFrame("ping", Buffer.from("a")))).toBe(1002); // not masked
    expect(new ClientFrames().read(Buffer.from([0xc1, 0x80]))).toBe(1002); // a bit of an extension
    expect(new ClientFrames().read(Buffer.from([0x83, 0x80]))).toBe(1002); // an opcode that is not known
    expect(new ClientFrames().read(mask("ping", Buffer.from("a"), { fin: false }))).toBe(1002);
    expect(new ClientFrames().read(Buffer.from([0x89, 0xfe]))).toBe(1002); // a ping of more than 125 bytes
    expect(new ClientFrames().read(mask("continuation", Buffer.from("a")))).toBe(1002); // of nothing
    const begun = mask("text", Buffer.from("a"), { fin: false });
    expect(new ClientFrames().read(Buffer.concat([begun, begun]))).toBe(1002); // a message in a message
    for (const [code, reason, fault] of [
      [1005, "", 1002],
      [999, "", 1002],
      [2000, "", 1002],
      [5000, "", 1002],
      [1000, "\xff", 1007],
    ] as const)
      expect(
        new ClientFrames().read(mask("close", Buffer.from([code >> 8, code & 255, ...Buffer.from(reason, "latin1")]))),
      ).toBe(fault);
    expect(new ClientFrames().read(mask("close", Buffer.from([3])))).toBe(1002); // half a code
    expect(show(new ClientFrames().read(mask("close", Buffer.alloc(0))))).toEqual([["close", ""]]);
    expect(new ClientFrames(1000).read(mask("text", Buffer.alloc(1001)))).toBe(1009);
    expect(new ClientFrames().read(Buffer.from([0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 0]))).toBe(
      1009,
    );
  });
});

test("acceptKey() answers as in RFC 6455 §1.3", () => {
  expect(acceptKey("dGhlIHNhbXBsZSBub25jZQ==")).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
});
