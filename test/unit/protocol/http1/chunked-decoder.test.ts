import { describe, expect, test } from "bun:test";
import { createChunkedDecoder } from "../../../../src/protocol/http1/chunked-decoder.ts";

const limits = { maxExtensionBytes: 1024, maxTrailerBytes: 1024, maxTrailerFields: 16 };

function decodeAll(text: string, output: "data" | "chunks"): { output: Uint8Array; input: Uint8Array } {
  const input = new Uint8Array(Buffer.from(text, "latin1"));
  const step = createChunkedDecoder(limits, output).push(input);
  if (step.kind !== "done") throw new Error(`The body ended as ${step.kind}.`);
  return { output: step.output, input };
}

describe("createChunkedDecoder()", () => {
  test("gives the data of one chunk without a copy", () => {
    const { output, input } = decodeAll("5\r\nhello\r\n0\r\n\r\n", "data");
    expect(output.buffer).toBe(input.buffer);
    expect(output).toEqual(input.subarray(3, 8));
  });

  test("passes clean chunks on without a copy, the last one included", () => {
    const { output, input } = decodeAll("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "chunks");
    expect(output.buffer).toBe(input.buffer);
    expect(output).toEqual(input);
  });

  test("passes on what it has of a chunk, before the rest arrives", () => {
    const decoder = createChunkedDecoder(limits, "chunks");
    const texts = ["a", "0\r", "\nab", "cd;e=f\r", "\n"].map((part) => {
      const step = decoder.push(Buffer.from(part));
      return step.kind === "more" ? Buffer.from(step.output).toString() : step.kind;
    });
    expect(texts).toEqual(["", "", "a0\r\nab", "cd;e=f\r", "\n"]);
  });

  test("gives many tiny chunks in one piece", () => {
    const { output } = decodeAll("1\r\nx\r\n".repeat(10_000) + "0\r\n\r\n", "data");
    expect(Buffer.from(output).toString()).toBe("x".repeat(10_000));
  });

  test("counts used from the first byte of the last push", () => {
    const decoder = createChunkedDecoder(limits, "data");
    expect(decoder.push(Buffer.from("5\r\nhello\r\n0\r\nA: ")).kind).toBe("more");
    const step = decoder.push(Buffer.from("b\r\n\r\nGET /"));
    expect(step).toMatchObject({ kind: "done", used: 5 });
    expect(step.kind === "done" && [...step.trailers]).toEqual([{ name: "A", value: "b" }]);
  });

  test("points at the offending octet of the push", () => {
    const decoder = createChunkedDecoder(limits, "data");
    expect(decoder.push(Buffer.from("5\r\nhel")).kind).toBe("more");
    expect(decoder.push(Buffer.from("lo!\r\n"))).toEqual({ kind: "bad", code: "bad_chunk_end", at: 2 });
  });

  test("points into a push even if the offence began before it", () => {
    const decoder = createChunkedDecoder(limits, "data");
    expect(decoder.push(Buffer.from("0\r\nA: b\r")).kind).toBe("more");
    expect(decoder.push(Buffer.from("x"))).toEqual({ kind: "bad", code: "bare_cr", at: 0 });
  });

  test("reads a chunk far larger than any push", () => {
    const decoder = createChunkedDecoder(limits, "data");
    const part = new Uint8Array(65_536);
    expect(decoder.push(Buffer.from("fffffffffffff\r\n")).kind).toBe("more");
    for (let count = 0; count < 100; count++) {
      const step = decoder.push(part);
      expect(step).toMatchObject({ kind: "more" });
      if (step.kind === "more") expect(step.output.length).toBe(part.length);
    }
  });

  test("takes an empty push for nothing", () => {
    const step = createChunkedDecoder(limits, "chunks").push(new Uint8Array(0));
    expect(step).toMatchObject({ kind: "more" });
    if (step.kind === "more") expect(step.output).toHaveLength(0);
  });
});
