import type { LineReading } from "./field-section.ts";
import { type ChunkedDecoder, type ChunkedError, type ChunkedLimits, createChunkedDecoder } from "./chunked-decoder.ts";

/**
 * What some bytes of a body gave. Octets `from` to `to` of `output` are to be
 * passed on; it may be the bytes themselves, and a view would cost more than the
 * rest. What follows `used` is not of this body.
 */
export type BodyStep =
  | { readonly kind: "more"; readonly output: Uint8Array; readonly from: number; readonly to: number }
  | {
      readonly kind: "done";
      readonly output: Uint8Array;
      readonly from: number;
      readonly to: number;
      readonly used: number;
    }
  | { readonly kind: "bad"; readonly code: ChunkedError };

/** Finds the end of a body while it passes. */
export interface BodyReader {
  /** Takes the bytes from offset `from` on. */
  push(bytes: Uint8Array, from?: number): BodyStep;
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
 * know chunks. `reading` is `tolerant` for a response. Trailers that are `withheld` (by `foldName`) are not passed on.
 */
export function createBodyReader(
  framing: BodyFraming,
  chunkedAs: "chunks" | "data",
  reading: LineReading,
  withheld?: ReadonlySet<string>,
): BodyReader | undefined {
  switch (framing.kind) {
    case "none":
      return undefined;
    case "length":
      return framing.length === 0 ? undefined : new LengthReader(framing.length);
    case "chunked":
      return new ChunkedReader(createChunkedDecoder(CHUNKED_LIMITS, chunkedAs, reading, withheld));
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

  push(bytes: Uint8Array, from = 0): BodyStep {
    const remaining = this.#remaining;
    const length = bytes.length - from;
    if (length < remaining) {
      this.#remaining = remaining - length;
      return { kind: "more", output: bytes, from, to: bytes.length };
    }
    this.#remaining = 0;
    const to = from + remaining;
    return { kind: "done", output: bytes, from, to, used: to };
  }
}

class ChunkedReader implements BodyReader {
  readonly #decoder: ChunkedDecoder;

  constructor(decoder: ChunkedDecoder) {
    this.#decoder = decoder;
  }

  push(bytes: Uint8Array, from = 0): BodyStep {
    const step = this.#decoder.push(from === 0 ? bytes : bytes.subarray(from));
    if (step.kind === "bad") return step;
    const { output } = step;
    const to = output.length;
    return step.kind === "more"
      ? { kind: "more", output, from: 0, to }
      : { kind: "done", output, from: 0, to, used: from + step.used };
  }
}

const endless: BodyReader = {
  push: (bytes, from = 0) => ({ kind: "more", output: bytes, from, to: bytes.length }),
};
