import { describe, expect, test } from "bun:test";
import { Recording } from "../../../../src/cli/trace/recording.ts";

function record(): Recording {
  const recording = new Recording();
  recording.add(1, "client", Buffer.from("abcd"));
  recording.add(2, "server", Buffer.from("12"));
  recording.add(3, "client", Buffer.from("ef"));
  recording.add(4, "client", new Uint8Array(0));
  return recording;
}

const text = (recording: Recording, from: "client" | "server") => Buffer.from(recording.bytesOf(from)).toString();

describe("Recording", () => {
  test("joins the bytes of each side", () => {
    expect(text(record(), "client")).toBe("abcdef");
    expect(text(record(), "server")).toBe("12");
  });

  test("is full after some megabytes, and of small chunks after some thousands", () => {
    for (const [size, most] of [
      [64 * 1024, 8 * 1024 * 1024],
      [1, 40_000],
    ] as const) {
      const recording = new Recording();
      const chunk = new Uint8Array(size);
      let kept = 0;
      while (recording.add(0, "server", chunk)) kept += size;
      expect(kept).toBeGreaterThan(most / 2);
      expect(kept).toBeLessThanOrEqual(most);
      expect(recording.add(0, "client", chunk)).toBeFalse();
      expect(recording.bytesOf("server").length).toBe(kept);
    }
  });

  test("keeps copies", () => {
    const bytes = Buffer.from("abc");
    const recording = new Recording();
    recording.add(0, "client", bytes);
    bytes.fill(0);
    expect(text(recording, "client")).toBe("abc");
  });

  test("tells when a byte passed", () => {
    const recording = record();
    expect([1, 4, 5, 6, 7].map((offset) => recording.timeOf("client", offset))).toEqual([1, 1, 3, 3, undefined]);
  });

  test("is cut in two at offsets of both sides", () => {
    const recording = record();
    const at = { client: 3, server: 1 };
    expect([text(recording.before(at), "client"), text(recording.before(at), "server")]).toEqual(["abc", "1"]);
    expect([text(recording.after(at), "client"), text(recording.after(at), "server")]).toEqual(["def", "2"]);
    expect(recording.after(at).timeOf("client", 2)).toBe(3);
  });
});
