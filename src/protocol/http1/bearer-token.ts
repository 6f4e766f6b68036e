/** The token of a field, or that it has none that can be read. */
export type BearerToken = { readonly ok: true; readonly token: string } | { readonly ok: false };

/** Characters of a token that are looked at. */
const MAX_TOKEN = 8192;

/**
 * Reads the value of a `Proxy-Authorization: Bearer …` field (RFC 6750 §2.1): the scheme in any case, and one
 * token68 (RFC 9110 §11.2). Undefined for another scheme.
 */
export function parseBearerToken(value: string): BearerToken | undefined {
  const match = /^bearer(?: +(.*))?$/is.exec(value);
  if (match === null) return undefined;
  const token = match[1] ?? "";
  // Before the expression looks at all of it.
  if (token.length > MAX_TOKEN || !TOKEN68.test(token)) return REFUSED;
  return { ok: true, token };
}

const TOKEN68 = /^[A-Za-z0-9._~+/-]+=*$/;
const REFUSED: BearerToken = { ok: false };
