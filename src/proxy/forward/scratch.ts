/** Where messages are put together to be written at once: a write takes them, or what it leaves is copied. Room for what one read gives. */
export const scratch = Buffer.allocUnsafeSlow(256 * 1024);

/** A view of some octets as `subarray` gives it, for a fraction of what that costs with a Buffer. */
export function viewBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + from, to - from);
}

/** Lengths up to this one are asked for again and again: views of them are kept. */
const MAX_KEPT_VIEW = 2048;
const keptViews: (Uint8Array | undefined)[] = Array.from({ length: MAX_KEPT_VIEW + 1 });

/** A view of the first octets of the scratch space. */
export function viewScratch(length: number): Uint8Array {
  return length > MAX_KEPT_VIEW ? viewBytes(scratch, 0, length) : (keptViews[length] ??= viewBytes(scratch, 0, length));
}

/** A copy of octets of the scratch space. With a Buffer `slice` would give none. */
export function keepScratch(from: number, to: number): Uint8Array {
  return new Uint8Array(viewBytes(scratch, from, to));
}

/** Octets. Below this length a loop is cheaper than a call of the system's copy. */
const SHORT = 32;

const { copy } = Buffer.prototype;

/** Copies the octets between two offsets to offset `at` of `target`, and gives the offset after them. */
export function copyOctets(bytes: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  const shift = at - from;
  if (to - from < SHORT) for (let index = from; index < to; index++) target[index + shift] = bytes[index] as number;
  // Without a view, which costs more than the copy. It does the same for every Uint8Array.
  else copy.call(bytes, target, at, from, to);
  return to + shift;
}
