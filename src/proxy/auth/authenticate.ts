import { parseBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import { PasswordVerifier, type VerifierOptions, type VerifyOutcome } from "./password-verifier.ts";
import type { Secret } from "./secret.ts";
import type { UserStore } from "./user-store.ts";

/** Who the client is, or why that is not known. `user` is undefined when nobody is asked. */
export type AuthOutcome =
  | { readonly ok: true; readonly user: string | undefined }
  | {
      readonly ok: false;
      readonly detail:
        "credentials_required" | "credentials_malformed" | "credentials_wrong" | "auth_busy" | "hook_failed";
    };

export interface AuthenticatorOptions extends VerifierOptions {
  /** Who may use the proxy. Without it nobody is asked, and credentials are not looked at. */
  readonly users?: UserStore;
  /** What browsers show beside their question; `penstock` unless told otherwise. */
  readonly realm?: string;
}

/** Knows the users of a listener, whichever protocol they come with. */
export interface Authenticator {
  /** Whether clients have to say who they are. */
  readonly required: boolean;
  /** Judges the values of all Proxy-Authorization fields of a request (RFC 9110 §11.7.2). A value, not a promise, whenever it can be. */
  authenticate(fieldValues: readonly string[]): AuthOutcome | Promise<AuthOutcome>;
  /** Judges a user and a password that came by another way, such as SOCKS5. */
  verifyPassword(user: string, password: Secret): AuthOutcome | Promise<AuthOutcome>;
  /** The values of the Proxy-Authenticate fields of a 407 (RFC 9110 §11.7.1). */
  challenge(): string[];
}

const NOBODY_ASKED: AuthOutcome = { ok: true, user: undefined };
const REQUIRED: AuthOutcome = { ok: false, detail: "credentials_required" };
const MALFORMED: AuthOutcome = { ok: false, detail: "credentials_malformed" };

/** Makes the authenticator of a compiled configuration. Throws when the realm is not 1 to 200 printable ASCII characters. */
export function createAuthenticator(options: AuthenticatorOptions = {}): Authenticator {
  const { users, realm = "penstock" } = options;
  if (users === undefined) {
    return {
      required: false,
      authenticate: () => NOBODY_ASKED,
      verifyPassword: () => NOBODY_ASKED,
      challenge: () => [],
    };
  }
  const verifier = new PasswordVerifier(users, options);
  const challenges = [`Basic realm=${quote(realm)}, charset="UTF-8"`];
  return {
    required: true,
    authenticate: (fieldValues) => judgeFields(fieldValues, verifier),
    verifyPassword: (user, password) => verifier.verify(user, password),
    challenge: () => [...challenges],
  };
}

function judgeFields(fieldValues: readonly string[], verifier: PasswordVerifier): AuthOutcome | Promise<VerifyOutcome> {
  const [value] = fieldValues;
  if (value === undefined) return REQUIRED;
  if (fieldValues.length > 1) return MALFORMED;
  const parsed = parseBasicCredentials(value);
  if (!parsed.ok) return parsed.code === "other_scheme" ? REQUIRED : MALFORMED;
  return verifier.verify(parsed.credentials.user, parsed.credentials.password);
}

/** A quoted-string (RFC 9110 §5.6.4). */
function quote(text: string): string {
  if (!/^[ -~]{1,200}$/.test(text))
    throw new RangeError(`The realm ${JSON.stringify(text)} is not 1 to 200 printable ASCII characters.`);
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
