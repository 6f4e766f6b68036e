/**
 * Opens what ChaCha20-Poly1305 sealed (RFC 8439), for records that somebody
 * looks at after the fact: the platform offers the cipher only inside of TLS.
 * Neither fast nor of constant time, and not for anything but looking.
 */

const TAG_BYTES = 16;
const BLOCK_BYTES = 64;
/** "expand 32-byte k", RFC 8439 §2.3. */
const CONSTANTS = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
const POLY1305_PRIME = (1n << 130n) - 5n;
const POLY1305_CLAMP = 0x0ffffffc0ffffffc0ffffffc0fffffffn;

/** Gives the text of `sealed`, whose last 16 bytes are the tag; undefined when it was not sealed with this key, nonce and additional data. */
export function openChaCha20Poly1305(
  key: Uint8Array,
  nonce: Uint8Array,
  additional: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < TAG_BYTES) return undefined;
  const text = sealed.subarray(0, -TAG_BYTES);
  const initial = startState(key, nonce);
  const oneTimeKey = makeBlock(initial, 0).subarray(0, 32);
  if (readLittle(sealed.subarray(-TAG_BYTES)) !== authenticate(oneTimeKey, additional, text)) return undefined;
  const opened = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += BLOCK_BYTES) {
    const block = makeBlock(initial, 1 + at / BLOCK_BYTES);
    const end = Math.min(BLOCK_BYTES, text.length - at);
    for (let index = 0; index < end; index++) opened[at + index] = (text[at + index] ?? 0) ^ (block[index] ?? 0);
  }
  return opened;
}

function startState(key: Uint8Array, nonce: Uint8Array): Uint32Array {
  const state = new Uint32Array(16);
  state.set(CONSTANTS);
  const keyView = new DataView(key.buffer, key.byteOffset, 32);
  for (let index = 0; index < 8; index++) state[4 + index] = keyView.getUint32(index * 4, true);
  const nonceView = new DataView(nonce.buffer, nonce.byteOffset, 12);
  for (let index = 0; index < 3; index++) state[13 + index] = nonceView.getUint32(index * 4, true);
  return state;
}

/** Columns, then diagonals, RFC 8439 §2.3. */
const ROUNDS = [
  [0, 4, 8, 12],
  [1, 5, 9, 13],
  [2, 6, 10, 14],
  [3, 7, 11, 15],
  [0, 5, 10, 15],
  [1, 6, 11, 12],
  [2, 7, 8, 13],
  [3, 4, 9, 14],
] as const;

function makeBlock(initial: Uint32Array, counter: number): Uint8Array {
  const state = initial.slice();
  state[12] = counter;
  const mixed = state.slice();
  for (let round = 0; round < 10; round++) for (const [a, b, c, d] of ROUNDS) quarterRound(mixed, a, b, c, d);
  const block = new DataView(new ArrayBuffer(BLOCK_BYTES));
  for (let index = 0; index < 16; index++) block.setUint32(index * 4, (mixed[index] ?? 0) + (state[index] ?? 0), true);
  return new Uint8Array(block.buffer);
}

function quarterRound(state: Uint32Array, a: number, b: number, c: number, d: number): void {
  mix(state, a, b, d, 16);
  mix(state, c, d, b, 12);
  mix(state, a, b, d, 8);
  mix(state, c, d, b, 7);
}

/** `to += by`, then `other` is XORed with the sum and rotated left. */
function mix(state: Uint32Array, to: number, by: number, other: number, bits: number): void {
  state[to] = (state[to] ?? 0) + (state[by] ?? 0);
  const crossed = (state[other] ?? 0) ^ (state[to] ?? 0);
  state[other] = (crossed << bits) | (crossed >>> (32 - bits));
}

/** The tag over additional data and text, each padded to 16 bytes, and their lengths, RFC 8439 §2.8. */
function authenticate(key: Uint8Array, additional: Uint8Array, text: Uint8Array): bigint {
  const factor = readLittle(key.subarray(0, 16)) & POLY1305_CLAMP;
  let sum = 0n;
  const add = (bytes: Uint8Array) => {
    for (let at = 0; at < bytes.length; at += 16) {
      const block = readLittle(bytes.subarray(at, at + 16));
      sum = ((sum + block + (1n << 128n)) * factor) % POLY1305_PRIME;
    }
  };
  add(additional);
  add(text);
  const lengths = new DataView(new ArrayBuffer(16));
  lengths.setUint32(0, additional.length, true);
  lengths.setUint32(8, text.length, true);
  add(new Uint8Array(lengths.buffer));
  return (sum + readLittle(key.subarray(16, 32))) & ((1n << 128n) - 1n);
}

/** A little-endian number. */
function readLittle(bytes: Uint8Array): bigint {
  let number = 0n;
  for (let at = bytes.length - 1; at >= 0; at--) number = (number << 8n) | BigInt(bytes[at] ?? 0);
  return number;
}
