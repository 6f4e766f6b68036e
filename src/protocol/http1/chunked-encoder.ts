import type { Field } from "./fields.ts";
import { encodeLatin1, formatFields } from "./write-head.ts";

const NOTHING = new Uint8Array(0);

/** Writes the line before a chunk of `size` octets (RFC 9112 §7.1), as latin1. */
export function formatChunkSize(size: number): string {
  return `${size.toString(16)}\r\n`;
}

/** Writes one chunk. No data make no chunk, since an empty one would end the body. */
export function encodeChunk(data: Uint8Array): Uint8Array {
  if (data.length === 0) return NOTHING;
  const line = formatChunkSize(data.length);
  const chunk = Buffer.allocUnsafe(line.length + data.length + 2);
  chunk.write(line, 0, "latin1");
  chunk.set(data, line.length);
  chunk.write("\r\n", line.length + data.length, "latin1");
  return chunk;
}

/** Writes the end of a chunked body, with its trailers. Throws for fields that cannot be written. */
export function encodeLastChunk(trailers: Iterable<Field> = []): Uint8Array {
  return encodeLatin1(`0\r\n${formatFields(trailers)}\r\n`);
}
