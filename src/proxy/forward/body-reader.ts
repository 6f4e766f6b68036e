import type { LineReading } from "../../protocol/http1/field-section.ts";
import { type ChunkedError, type ChunkedLimits, createChunkedDecoder } from "../../protocol/http1/chunked-decoder.ts";

/**
 * What some bytes of a body gave. `output` is what to pass on, possibly a view
 * of the bytes. What follows `used` is not of this body.
 */
export type BodyStep =
  | { readonly kind: "more"; readonly output: Uint8Array }
  | { readonly kind: "done"; readonly output: Uint8Array; readonly used: number }
  | { readonly kind: "bad"; readonly code: ChunkedError };

/** Finds the end of a body while it passes. */
export interface BodyReader {
  push(bytes: Uint8Array): BodyStep;
}

export type BodyFraming =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "until-close" };

/** Extensions of no more than the data and this, and trailers of no more than any head. */
const CHUNKED_LIMITS: ChunkedLimits = {
  maxExtensionBytes: 16 * 1024,
  maxTrailerBytes: 16 * 1024,
  maxTrailerFields: 100,
};

/**
 * Makes the reader of a body that is framed so; undefined when there is none. A
 * chunked body is passed on in chunks, or as its mere data for those who do not
 * know chunks. `reading` is `tolerant` for a response.
 */
export function createBodyReader(
  framing: BodyFraming,
  chunkedAs: "chunks" | "data",
  reading: LineReading,
): BodyReader | undefined {
  switch (framing.kind) {
    case "none":
      return undefined;
    case "length":
      return framing.length === 0 ? undefined : new LengthReader(framing.length);
    case "chunked":
      return createChunkedDecoder(CHUNKED_LIMITS, chunkedAs, reading);
    case "until-close":
      return endless;
    default:
      return framing satisfies never;
  }
}

class LengthReader implements BodyReader {
  #remaining: number;

  constructor(length: number) {
    this.#remaining = length;
  }

  push(bytes: Uint8Array): BodyStep {
    const remaining = this.#remaining;
    if (bytes.length < remaining) {
      this.#remaining = remaining - bytes.length;
      return { kind: "more", output: bytes };
    }
    this.#remaining = 0;
    const output = bytes.length === remaining ? bytes : bytes.subarray(0, remaining);
    return { kind: "done", output, used: remaining };
  }
}

const endless: BodyReader = { push: (bytes) => ({ kind: "more", output: bytes }) };
