/** The public half of a P-256 key as JSON (RFC 7517). */
export interface PublicJwk {
  readonly kty: "EC";
  readonly crv: "P-256";
  readonly x: string;
  readonly y: string;
}

/** The key of an account: ES256, which every authority knows. */
export interface AccountKey {
  readonly privateKey: CryptoKey;
  readonly jwk: PublicJwk;
  /** RFC 7638. */
  readonly thumbprint: string;
}

/** A JWS in the flattened form (RFC 7515 §7.2.2). */
export interface Jws {
  readonly protected: string;
  readonly payload: string;
  readonly signature: string;
}

const KEY = { name: "ECDSA", namedCurve: "P-256" };
const SIGNATURE = { name: "ECDSA", hash: "SHA-256" };

/** The members of a key that its thumbprint is made of, in their order (RFC 7638 §3.2, RFC 8037 §2). */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ["crv", "kty", "x", "y"],
  OKP: ["crv", "kty", "x"],
  RSA: ["e", "kty", "n"],
};

/** Makes a key, as JSON to be kept. */
export async function makeAccountKey(): Promise<object> {
  const { privateKey } = await crypto.subtle.generateKey(KEY, true, ["sign", "verify"]);
  return crypto.subtle.exportKey("jwk", privateKey);
}

/** Opens a key that was kept; undefined for one of another kind. */
export async function openAccountKey(kept: unknown): Promise<AccountKey | undefined> {
  const { kty, crv, x, y, d } = (kept ?? {}) as Readonly<Record<string, unknown>>;
  if (kty !== "EC" || crv !== "P-256" || typeof x !== "string" || typeof y !== "string" || typeof d !== "string")
    return undefined;
  const jwk = { kty, crv, x, y } as const;
  try {
    const privateKey = await crypto.subtle.importKey("jwk", { ...jwk, d }, KEY, false, ["sign"]);
    return { privateKey, jwk, thumbprint: takeThumbprint(jwk) };
  } catch {
    // The numbers are no key.
    return undefined;
  }
}

/** RFC 7638 §3: the hash of the members that make the key, in base64url. */
export function takeThumbprint(jwk: Readonly<Record<string, unknown>> | PublicJwk): string {
  const members: Readonly<Record<string, unknown>> = { ...jwk };
  const names = THUMBPRINT_MEMBERS[String(members["kty"])] ?? [];
  const text = JSON.stringify(Object.fromEntries(names.map((name) => [name, members[name]])));
  return new Bun.CryptoHasher("sha256").update(text).digest("base64url");
}

/** What is signed (RFC 7515 §5.1). An undefined payload is the empty one of POST-as-GET (RFC 8555 §6.3). */
export function writeSigningInput(header: object, payload: object | undefined): string {
  return `${encode(JSON.stringify(header))}.${payload === undefined ? "" : encode(JSON.stringify(payload))}`;
}

/** Signs with ES256. */
export async function signJws(key: CryptoKey, header: object, payload: object | undefined): Promise<Jws> {
  const input = writeSigningInput({ alg: "ES256", ...header }, payload);
  return split(input, await crypto.subtle.sign(SIGNATURE, key, Buffer.from(input)));
}

/** Binds a key to an account elsewhere (RFC 8555 §7.3.4). `secret` is the MAC key in base64url. */
export function bindExternally(
  binding: { readonly kid: string; readonly secret: string },
  jwk: PublicJwk,
  url: string,
): Jws {
  const input = writeSigningInput({ alg: "HS256", kid: binding.kid, url }, jwk);
  return split(input, signHs256(input, Buffer.from(binding.secret, "base64url")));
}

/** HMAC with SHA-256. */
export function signHs256(input: string, key: Uint8Array): Uint8Array {
  return new Bun.CryptoHasher("sha256", key).update(input).digest();
}

function split(input: string, signature: ArrayBuffer | Uint8Array): Jws {
  const [header = "", payload = ""] = input.split(".");
  return { protected: header, payload, signature: Buffer.from(new Uint8Array(signature)).toString("base64url") };
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}
