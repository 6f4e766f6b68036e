import { createCipheriv } from "node:crypto";

const PIECE = 1024 * 1024;

/**
 * Gives `length` bytes in pieces of 1 MiB, always the same ones, that no mistake
 * in order or place could leave as they are: the key stream of AES-128-CTR with
 * key and counter zero. The server of tls-origin.mjs knows the same ones.
 */
export function* makeKeystream(length: number): Generator<Uint8Array> {
  const cipher = createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE);
  for (let at = 0; at < length; at += PIECE) yield cipher.update(zeros.subarray(0, Math.min(PIECE, length - at)));
}
