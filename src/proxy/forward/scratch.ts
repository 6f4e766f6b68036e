/** Where messages are put together to be written at once: a write takes them, or what it leaves is copied. Room for what one read gives. */
export const scratch = Buffer.allocUnsafeSlow(256 * 1024);

/** A view of some octets as `subarray` gives it, for a fraction of what that costs with a Buffer. */
export function viewBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + from, to - from);
}

/** A copy of some octets. With a Buffer `slice` gives none. */
export function keepBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(viewBytes(bytes, from, to));
}

/** Octets. Below this length a loop is cheaper than to make a view and copy that. */
const SHORT = 96;

/** Copies the octets between two offsets to offset `at` of `target`, and gives the offset after them. */
export function copyOctets(bytes: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  const shift = at - from;
  if (to - from < SHORT) for (let index = from; index < to; index++) target[index + shift] = bytes[index] as number;
  else target.set(viewBytes(bytes, from, to), at);
  return to + shift;
}
