import type { createRandom } from "./seeded-random.ts";

/** Bytes of a mutated stream: hellos, certificates, and some records after them. */
const MAX_INPUT_BYTES = 4_000;

export type Random = ReturnType<typeof createRandom>;

/** Changes a few bytes, most of them near the start, where lengths and types are; or cuts, repeats, or joins with one of `others`. */
export function mutateHandshake(random: Random, original: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
  let bytes = original.slice(0, MAX_INPUT_BYTES);
  for (let count = 1 + random.below(4); count > 0; count--) {
    const reach = random.below(3) === 0 ? bytes.length : Math.min(bytes.length, 600);
    const at = random.below(reach + 1);
    switch (random.below(6)) {
      case 0:
        bytes[at] = random.below(256);
        break;
      case 1:
        bytes[at] = (bytes[at] ?? 0) + (random.below(2) === 0 ? 1 : -1);
        break;
      case 2:
        bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)] ?? 0;
        break;
      case 3:
        bytes = bytes.slice(0, at);
        break;
      case 4: {
        const other = others[random.below(others.length)] ?? bytes;
        const from = random.below(other.length);
        bytes = new Uint8Array([...bytes.subarray(0, at), ...other.subarray(from, from + 200), ...bytes.subarray(at)]);
        break;
      }
      default:
        bytes = new Uint8Array([...bytes.subarray(0, at), ...bytes.subarray(at + random.below(8))]);
    }
    if (bytes.length === 0) return bytes;
  }
  return bytes;
}
