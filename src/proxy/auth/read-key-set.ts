/** A public key (RFC 7517 §4). The verifier reads the rest of it. */
export interface PublicJwk {
  readonly kty: "RSA" | "EC" | "OKP";
}

/** Public keys; or why there are none, as the rest of a sentence. */
export type KeySetRead =
  { readonly ok: true; readonly keys: readonly PublicJwk[] } | { readonly ok: false; readonly why: string };

/** Keys of a set at most. */
const MAX_KEYS = 256;

/**
 * Reads a JWK set (RFC 7517 §5). Leaves out shared secrets: a token must never be verified with something that
 * a client could know. Refuses a set with private keys, which whoever can read it could sign with.
 */
export function readKeySet(text: string): KeySetRead {
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    return { ok: false, why: "is not JSON" };
  }
  const all: unknown = typeof set === "object" && set !== null && "keys" in set ? set.keys : undefined;
  if (!Array.isArray(all)) return { ok: false, why: 'is no key set: it has no list "keys"' };
  if (all.length > MAX_KEYS) return { ok: false, why: `has more than ${MAX_KEYS} keys` };
  const keys = all.filter(isPublicKind);
  if (keys.some((key) => "d" in key)) return { ok: false, why: "has private keys" };
  return keys.length === 0 ? { ok: false, why: "has no public keys" } : { ok: true, keys };
}

function isPublicKind(key: unknown): key is PublicJwk {
  if (typeof key !== "object" || key === null || !("kty" in key)) return false;
  return key.kty === "RSA" || key.kty === "EC" || key.kty === "OKP";
}
