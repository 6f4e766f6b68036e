import { expect, test } from "bun:test";
import { encodeChunk, encodeLastChunk } from "../../../../src/protocol/http1/chunked-encoder.ts";

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

test("encodeChunk() writes the size in hexadecimal, the data, and the line end", () => {
  expect(toText(encodeChunk(Buffer.from("hello")))).toBe("5\r\nhello\r\n");
  const long = "x".repeat(70_000);
  expect(toText(encodeChunk(Buffer.from(long)))).toBe(`11170\r\n${long}\r\n`);
});

test("encodeChunk() makes no chunk of no data, since it would end the body", () => {
  expect(encodeChunk(new Uint8Array(0))).toHaveLength(0);
});

test("encodeLastChunk() ends the body, with trailers if there are any", () => {
  expect(toText(encodeLastChunk())).toBe("0\r\n\r\n");
  expect(toText(encodeLastChunk([{ name: "A", value: "b" }]))).toBe("0\r\nA: b\r\n\r\n");
});

test("encodeLastChunk() throws for a trailer that would inject", () => {
  expect(() => encodeLastChunk([{ name: "A", value: "b\r\n\r\nGET" }])).toThrow("control character");
});
