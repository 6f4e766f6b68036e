import { AFTER_SIZE, EXTENSION_BAD, EXTENSION_END, stepChunkExtension } from "./chunk-extension.ts";
import { encodeLastChunk } from "./chunked-encoder.ts";
import {
  copyHead,
  type FieldSectionError,
  FieldSectionScan,
  type LineReading,
  scanFieldSection,
  takeFields,
} from "./field-section.ts";
import { type Fields, NO_FIELDS } from "./fields.ts";
import { stripTrailers } from "./hop-by-hop.ts";
import { CR, LF } from "./octets.ts";
import { createOutputSpans } from "./output-spans.ts";

/** What a chunked body may cost besides its data. */
export interface ChunkedLimits {
  /** Octets of chunk extensions by which they may exceed the octets of data, so that a body cannot be all framing. */
  readonly maxExtensionBytes: number;
  /** Octets of the trailer section, its empty line included. */
  readonly maxTrailerBytes: number;
  /** Field lines of the trailer section. */
  readonly maxTrailerFields: number;
}

/**
 * What can be wrong with a chunked body.
 *
 * - `bad_chunk_size`: not hexadecimal digits, or none.
 * - `chunk_size_too_large`: past 2^53 - 1, or more than sixteen digits.
 * - `bad_chunk_extension`: not by the grammar of RFC 9112 §7.1.1.
 * - `chunk_extensions_too_large`: more of them than `maxExtensionBytes` allows.
 * - `bad_chunk_end`: the data are not followed by CRLF.
 * - `trailers_too_large`: more than `maxTrailerBytes`.
 * - the errors of a field section, for lines and trailers.
 */
export type ChunkedError =
  | FieldSectionError
  | "bad_chunk_size"
  | "chunk_size_too_large"
  | "bad_chunk_extension"
  | "chunk_extensions_too_large"
  | "bad_chunk_end"
  | "trailers_too_large";

/**
 * What one push gave. `output` may be a view of the bytes that were pushed, and
 * may be empty. `used` and `at` count from the first byte of this push; what
 * follows `used` is the caller's. `trailers` have lost what RFC 9110 §6.5.1
 * forbids. After `done` or `bad` the decoder is spent.
 */
export type ChunkedStep =
  | { readonly kind: "more"; readonly output: Uint8Array }
  | { readonly kind: "done"; readonly output: Uint8Array; readonly trailers: Fields; readonly used: number }
  | { readonly kind: "bad"; readonly code: ChunkedError; readonly at: number };

/** Reads one chunked body, part after part, each byte once. */
export interface ChunkedDecoder {
  push(bytes: Uint8Array): ChunkedStep;
}

const SIZE_START = 0;
const SIZE = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
const TRAILERS = 6;

/** Octets of a last chunk that is canonical, `0 CRLF CRLF`. */
const LAST_CHUNK_LENGTH = 5;

/** Hexadecimal digits. Fourteen hold every size below 2^53; the bound keeps a flood of zeros out. */
const MAX_SIZE_DIGITS = 16;

/**
 * Makes a decoder of one chunked body (RFC 9112 §7.1), bounded. `tolerant` takes
 * a bare LF for a line end, as clients do with responses; blanks after a size are
 * let pass either way.
 *
 * With output `data` it gives the content alone. With output `chunks` it gives a
 * chunked body again, to pass on: validated, without extensions and forbidden
 * trailers, the last chunk included, and without a copy where the input is
 * already clean. Trailers that are `withheld` (by `foldName`) are left out either way.
 */
export function createChunkedDecoder(
  limits: ChunkedLimits,
  output: "data" | "chunks",
  reading: LineReading = "strict",
  withheld?: ReadonlySet<string>,
): ChunkedDecoder {
  const rechunk = output === "chunks";
  const tolerant = reading === "tolerant";
  const spans = createOutputSpans();
  const section = new FieldSectionScan(0);
  let state = SIZE_START;
  let digits = 0;
  let size = 0;
  let remaining = 0;
  let extension = AFTER_SIZE;
  /** Octets of extensions that no octet of data has made up for. */
  let extensionDebt = 0;
  /** Where in this push the size line began, while it is fit to be passed on as it is; else -1. */
  let cleanLine = -1;
  /** The part of the trailer section that came with earlier pushes. */
  let held: Uint8Array = new Uint8Array(0);

  function push(bytes: Uint8Array): ChunkedStep {
    spans.reset();
    cleanLine = -1;
    let pos = 0;
    while (pos < bytes.length) {
      if (state === TRAILERS) return readTrailers(bytes, pos);
      if (state === DATA) {
        const to = Math.min(bytes.length, pos + remaining);
        spans.add(pos, to);
        remaining -= to - pos;
        pos = to;
        if (remaining === 0) state = DATA_CR;
        continue;
      }
      const code = step(bytes[pos] as number, pos);
      if (code !== undefined) return { kind: "bad", code, at: pos };
      pos++;
    }
    return { kind: "more", output: spans.gather(bytes) };
  }

  function step(octet: number, pos: number): ChunkedError | undefined {
    switch (state) {
      case SIZE_START:
        digits = 0;
        size = 0;
        extension = AFTER_SIZE;
        cleanLine = pos;
        state = SIZE;
        return stepSize(octet, pos);
      case SIZE:
        return stepSize(octet, pos);
      case SIZE_LF:
        return octet === LF ? endSizeLine(pos) : "bare_cr";
      case DATA_CR:
        if (octet === LF) return endData();
        if (octet !== CR) return "bad_chunk_end";
        if (rechunk) spans.add(pos, pos + 1);
        state = DATA_LF;
        return undefined;
      default:
        if (octet !== LF) return "bare_cr";
        if (rechunk) spans.add(pos, pos + 1);
        state = SIZE_START;
        return undefined;
    }
  }

  /** A bare LF behind the data. */
  function endData(): ChunkedError | undefined {
    if (!tolerant) return "bare_lf";
    if (rechunk) spans.addLineEnd();
    state = SIZE_START;
    return undefined;
  }

  function stepSize(octet: number, pos: number): ChunkedError | undefined {
    const digit = extension === AFTER_SIZE ? readHexDigit(octet) : -1;
    if (digit >= 0) {
      // A leading zero or a capital: rewritten, so that what is passed on does not depend on how it arrived.
      if ((digits > 0 && size === 0) || (octet >= 0x41 && octet <= 0x46)) cleanLine = -1;
      size = size * 16 + digit;
      return ++digits > MAX_SIZE_DIGITS || size > Number.MAX_SAFE_INTEGER ? "chunk_size_too_large" : undefined;
    }
    if (octet === LF && !tolerant) return "bare_lf";
    if (digits === 0) return "bad_chunk_size";
    const next = stepChunkExtension(extension, octet);
    if (next === EXTENSION_BAD) return extension === AFTER_SIZE ? "bad_chunk_size" : "bad_chunk_extension";
    if (next === EXTENSION_END) {
      if (octet === LF) {
        cleanLine = -1;
        endSizeLine(pos);
      } else {
        state = SIZE_LF;
      }
      return undefined;
    }
    extension = next;
    cleanLine = -1;
    return ++extensionDebt > limits.maxExtensionBytes ? "chunk_extensions_too_large" : undefined;
  }

  function endSizeLine(pos: number): undefined {
    extensionDebt = Math.max(0, extensionDebt - size);
    if (size === 0) {
      state = TRAILERS;
      return;
    }
    if (rechunk) {
      if (cleanLine >= 0) spans.add(cleanLine, pos + 1);
      else spans.addChunkSize(size);
    }
    remaining = size;
    state = DATA;
  }

  function readTrailers(bytes: Uint8Array, from: number): ChunkedStep {
    const fresh = bytes.subarray(from);
    const all = held.length === 0 ? fresh : Buffer.concat([held, fresh]);
    const end = Math.min(all.length, limits.maxTrailerBytes);
    const offset = from - held.length;
    const outcome = scanFieldSection(section, all, end, limits.maxTrailerFields, reading);
    if (outcome === "more") {
      if (end === limits.maxTrailerBytes) return { kind: "bad", code: "trailers_too_large", at: offset + end };
      // A copy, since the caller may use the bytes again; `slice` of a Buffer is a view.
      held = new Uint8Array(all);
      return { kind: "more", output: spans.gather(bytes) };
    }
    if (outcome !== "done") return { kind: "bad", code: outcome, at: Math.max(0, offset + section.pos) };
    const trailers =
      section.count === 0 ? NO_FIELDS : stripTrailers(takeFields(section, copyHead(all, section.pos)), withheld);
    const used = offset + section.pos;
    return { kind: "done", output: gatherLast(bytes, used, trailers), trailers, used };
  }

  function gatherLast(bytes: Uint8Array, used: number, trailers: Fields): Uint8Array {
    if (!rechunk) return spans.gather(bytes);
    if (cleanLine < 0 || used - cleanLine !== LAST_CHUNK_LENGTH) return spans.gather(bytes, encodeLastChunk(trailers));
    spans.add(cleanLine, used);
    return spans.gather(bytes);
  }

  return { push };
}

function readHexDigit(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const lower = octet | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
