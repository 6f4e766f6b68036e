/** A small deterministic generator (xorshift32): the same seed gives the same run. */
export function createRandom(seed: number): {
  next(): number;
  below(limit: number): number;
  bytes(count: number): Uint8Array;
} {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return {
    next,
    below: (limit) => next() % limit,
    bytes(count) {
      const bytes = new Uint8Array(count);
      for (let at = 0; at < count; at += 1) bytes[at] = next() & 0xff;
      return bytes;
    },
  };
}
