import { createPublicKey, timingSafeEqual, verify } from "node:crypto";

/** The 32 bytes of a public key. */
export type Ed25519Key = Uint8Array;

/** SubjectPublicKeyInfo of an Ed25519 key up to its bytes: RFC 8410 §4. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");

/** Whether `signature` (64 bytes) over `message` was made with the secret key of `key`. RFC 8032 §5.1.7. */
export function verifyEd25519(key: Ed25519Key, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false;
  try {
    const spki = Buffer.concat([SPKI_PREFIX, key]);
    return verify(null, message, createPublicKey({ key: spki, format: "der", type: "spki" }), signature);
  } catch {
    // Bytes that are no point of the curve.
    return false;
  }
}

/** Whether two keys, or two ids of keys, are the same bytes. */
export function sameKey(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
