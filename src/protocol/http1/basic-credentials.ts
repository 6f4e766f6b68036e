import { Secret } from "../../secret.ts";
import { decodeCredentialText } from "../credential-text.ts";

/** User and password as a client gave them. */
export interface Credentials {
  readonly scheme: "basic";
  /** At least one character, no control characters, no colon. */
  readonly user: string;
  /** No control characters; may be empty. */
  readonly password: Secret;
}

/** `other_scheme` is for somebody else to read; everything else is malformed. */
export type BasicCredentialsError =
  "other_scheme" | "too_long" | "bad_base64" | "no_colon" | "empty_user" | "control_character";

export type BasicCredentialsResult =
  | { readonly ok: true; readonly credentials: Credentials }
  | { readonly ok: false; readonly code: BasicCredentialsError };

/** Characters of base64 that are looked at: room for a token of 6,000 bytes as the password. */
const MAX_BASE64 = 8192;

/**
 * Reads the value of a `Proxy-Authorization: Basic …` field (RFC 7617 §2): the
 * scheme in any case, base64 in its one canonical form (padding present, no
 * stray bits), UTF-8 or else ISO-8859-1 inside, user and password parted by the
 * first colon.
 * Control characters and an empty user are refused.
 */
export function parseBasicCredentials(value: string): BasicCredentialsResult {
  const match = /^basic(?: +(.*))?$/is.exec(value);
  if (match === null) return refuse("other_scheme");
  const encoded = match[1] ?? "";
  if (encoded.length > MAX_BASE64) return refuse("too_long");
  const bytes = Buffer.from(encoded, "base64");
  // RFC 4648 §3.5: two texts for the same bytes would be one too many.
  if (encoded === "" || bytes.toString("base64") !== encoded) return refuse("bad_base64");
  const text = decodeCredentialText(bytes);
  const colon = text.indexOf(":");
  if (colon < 0) return refuse("no_colon");
  if (colon === 0) return refuse("empty_user");
  if (/\p{Cc}/u.test(text)) return refuse("control_character");
  return {
    ok: true,
    credentials: {
      scheme: "basic",
      user: text.slice(0, colon),
      password: new Secret(text.slice(colon + 1)),
    },
  };
}

/**
 * Gives the value of the field for a user and a password, in UTF-8. A colon in
 * the user, or control characters, have no form in this scheme: undefined.
 */
export function formatBasicCredentials(user: string, password: Secret): string | undefined {
  const text = `${user}:${password.reveal()}`;
  if (user.includes(":") || /\p{Cc}/u.test(text)) return undefined;
  return `Basic ${Buffer.from(text).toString("base64")}`;
}

function refuse(code: BasicCredentialsError): BasicCredentialsResult {
  return { ok: false, code };
}
