import { formatChunkSize } from "./chunked-encoder.ts";
import { copyOctets } from "./octets.ts";

/**
 * Collects which stretches of an input make up an output, as numbers, so that
 * an input of a thousand tiny chunks does not make a thousand objects.
 */
export interface OutputSpans {
  /** Begins anew, for the next input. */
  reset(): void;
  /** Adds octets `from` (inclusive) to `to` (exclusive) of the input. */
  add(from: number, to: number): void;
  /** Adds a chunk-size line that is not in the input. */
  addChunkSize(size: number): void;
  /** Adds a CRLF that is not in the input. */
  addLineEnd(): void;
  /** Gives the output, with `suffix` after it: a view of `input` when it is one stretch, else a copy. */
  gather(input: Uint8Array, suffix?: Uint8Array): Uint8Array;
}

/** In place of `from`: what follows is the size of a new size line, or `LINE_END`. */
const ADDED = -1;
/** In place of a size: a CRLF alone. */
const LINE_END = -1;

const NOTHING = new Uint8Array(0);

/** Makes an empty collection. */
export function createOutputSpans(): OutputSpans {
  const pairs: number[] = [];
  let total = 0;

  function add(from: number, to: number): void {
    total += to - from;
    const last = pairs.length - 1;
    if (last > 0 && pairs[last] === from && pairs[last - 1] !== ADDED) pairs[last] = to;
    else pairs.push(from, to);
  }

  function addChunkSize(size: number): void {
    total += formatChunkSize(size).length;
    pairs.push(ADDED, size);
  }

  function addLineEnd(): void {
    total += 2;
    pairs.push(ADDED, LINE_END);
  }

  function gather(input: Uint8Array, suffix: Uint8Array = NOTHING): Uint8Array {
    if (total === 0) return suffix;
    const [first, second] = pairs as [number, number];
    if (pairs.length === 2 && first !== ADDED && suffix.length === 0) return input.subarray(first, second);
    const output = Buffer.allocUnsafe(total + suffix.length);
    let at = 0;
    for (let index = 0; index < pairs.length; index += 2) {
      const from = pairs[index] as number;
      const to = pairs[index + 1] as number;
      if (from === ADDED) at += output.write(to === LINE_END ? "\r\n" : formatChunkSize(to), at, "latin1");
      else at = copyOctets(input, from, to, output, at);
    }
    output.set(suffix, at);
    return output;
  }

  function reset(): void {
    pairs.length = 0;
    total = 0;
  }

  return { reset, add, addChunkSize, addLineEnd, gather };
}
