import { makeKeystream } from "../../support/keystream.ts";

const BLOCK_BYTES = 1024 * 1024;
/** Bytes of a piece, at most. */
export const PIECE_BYTES: number = 64 * 1024;

/** The bytes that one end of a tunnel sends: endless, and other ones for each number. */
export class Stream {
  sent = 0;
  readonly #at: number;
  readonly #block: Uint8Array;

  constructor(number: number, block: Uint8Array) {
    this.#at = (number * 4099) % BLOCK_BYTES;
    this.#block = block;
  }

  next(count: number): Uint8Array {
    const at = (this.#at + this.sent) % BLOCK_BYTES;
    this.sent += count;
    return this.#block.subarray(at, at + count);
  }
}

/** What arrived of the stream with a number, by its hash. */
export class Arrival {
  got = 0;
  readonly #number: number;
  readonly #block: Uint8Array;
  readonly #hash = new Bun.CryptoHasher("sha256");

  constructor(number: number, block: Uint8Array) {
    this.#number = number;
    this.#block = block;
  }

  take(chunk: Uint8Array): void {
    this.got += chunk.length;
    this.#hash.update(chunk);
  }

  /** Whether these are the first bytes of the stream. Nothing can be taken after that. */
  isRight(): boolean {
    const sent = new Stream(this.#number, this.#block);
    const hash = new Bun.CryptoHasher("sha256");
    while (sent.sent < this.got) hash.update(sent.next(Math.min(PIECE_BYTES, this.got - sent.sent)));
    return hash.digest("hex") === this.#hash.digest("hex");
  }
}

/** The bytes of all streams. Its beginning follows its end again, so that each piece is in one place. */
export function makeBlock(): Uint8Array {
  const [block = new Uint8Array()] = makeKeystream(BLOCK_BYTES);
  return Buffer.concat([block, block.subarray(0, PIECE_BYTES)]);
}

/** The number of the stream that the origin sends in a tunnel. */
export function numberDown(tunnel: number): number {
  return tunnel + 500_000;
}
