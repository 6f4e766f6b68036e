import { copyOctets } from "../../protocol/http1/octets.ts";
import type { HeadToWrite } from "./head-to-write.ts";

/** Room for nearly every head, and for as much of a body as goes with it. */
const SIZE = 96 * 1024;

/** Lengths up to this one are asked for again and again: views of them are kept. */
const MAX_KEPT_VIEW = 2048;

/** Where messages are put together to be written at once: a write takes them, or what it leaves is copied. */
export class Scratch {
  readonly bytes = Buffer.allocUnsafeSlow(SIZE);
  readonly #views: (Uint8Array | undefined)[] = Array.from({ length: MAX_KEPT_VIEW + 1 });

  /** A view of the first octets. */
  view(length: number): Uint8Array {
    if (length > MAX_KEPT_VIEW) return viewBytes(this.bytes, 0, length);
    return (this.#views[length] ??= viewBytes(this.bytes, 0, length));
  }

  /** A head, and octets between two offsets behind it. They stand here until the next call. */
  join(head: HeadToWrite, octets: Uint8Array, from: number, to: number): Uint8Array {
    // More than the head has, since some of its octets are left out.
    const most = head.most + to - from;
    if (most <= SIZE) return this.view(copyOctets(octets, from, to, this.bytes, head.fill(this.bytes)));
    const whole = Buffer.allocUnsafe(most);
    return whole.subarray(0, copyOctets(octets, from, to, whole, head.fill(whole)));
  }
}

/** A view of some octets as `subarray` gives it, for a fraction of what that costs with a Buffer. */
function viewBytes(bytes: Uint8Array, from: number, to: number): Uint8Array {
  return new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + from, to - from);
}
