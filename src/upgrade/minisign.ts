import { type Ed25519Key, sameKey, verifyEd25519 } from "./ed25519.ts";

/** A public key of minisign or signify. */
export interface MinisignKey {
  readonly kind: "minisign";
  /** As minisign prints it: 16 hexadecimal digits. */
  readonly name: string;
  readonly id: Buffer;
  readonly key: Ed25519Key;
}

/** What was signed, or why it is not believed; `reason` continues a sentence. */
export type Verified =
  | { readonly ok: true; readonly signer: string; readonly comment: string }
  | { readonly ok: false; readonly reason: string };

/** Two letters for the algorithm, eight bytes for the key's id, and the key. */
const KEY_BYTES = 2 + 8 + 32;
const SIGNATURE_BYTES = 2 + 8 + 64;
const TRUSTED = "trusted comment: ";

/** Reads the line of a public key: `RWQ…`. */
export function readMinisignKey(line: string): MinisignKey | undefined {
  const bytes = readBase64(line, KEY_BYTES);
  if (bytes?.toString("latin1", 0, 2) !== "Ed") return undefined;
  const id = bytes.subarray(2, 10);
  return { kind: "minisign", name: nameKey(id), id, key: bytes.subarray(10) };
}

export function isMinisignSignature(text: string): boolean {
  return text.startsWith("untrusted comment: ");
}

/**
 * Verifies the file of a signature: over the bytes (`Ed`), or over their BLAKE2b
 * (`ED`); and the second signature, over the first and the trusted comment.
 */
export function verifyMinisign(text: string, content: Uint8Array, keys: readonly MinisignKey[]): Verified {
  const [, first = "", comment = "", second = ""] = text.split(/\r?\n/);
  const signature = readBase64(first, SIGNATURE_BYTES);
  const whole = readBase64(second, 64);
  const algorithm = signature?.toString("latin1", 0, 2);
  if (signature === undefined || whole === undefined || !comment.startsWith(TRUSTED))
    return bad("is not a signature of minisign: wanted are four lines, two of them comments");
  if (algorithm !== "Ed" && algorithm !== "ED") return bad("has an algorithm that minisign does not have");
  const id = signature.subarray(2, 10);
  const signer = keys.find((key) => sameKey(key.id, id));
  if (signer === undefined) return bad(`is by the key ${nameKey(id)}, which is not among the trusted ones`);
  const own = signature.subarray(10);
  const signed = algorithm === "ED" ? new Bun.CryptoHasher("blake2b512").update(content).digest() : content;
  if (!verifyEd25519(signer.key, signed, own)) return bad("does not belong to these bytes");
  const trusted = comment.slice(TRUSTED.length);
  if (!verifyEd25519(signer.key, Buffer.concat([own, Buffer.from(trusted)]), whole))
    return bad("has a trusted comment that was changed");
  return { ok: true, signer: `minisign key ${signer.name}`, comment: trusted };
}

function bad(reason: string): Verified {
  return { ok: false, reason };
}

function nameKey(id: Uint8Array): string {
  // Minisign reads it as a number of eight bytes, the lowest first.
  return Buffer.from(id).toReversed().toHex().toUpperCase();
}

function readBase64(text: string, length: number): Buffer | undefined {
  const trimmed = text.trim();
  const bytes = Buffer.from(trimmed, "base64");
  return bytes.length === length && bytes.toString("base64") === trimmed ? bytes : undefined;
}
