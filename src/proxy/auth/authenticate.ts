import { quoteString } from "../../protocol/http1/auth-params.ts";
import { parseBasicCredentials } from "../../protocol/http1/basic-credentials.ts";
import type { Asker, AuthOutcome, CredentialChecks } from "./credential-checks.ts";
import { type AuthRequest, DigestVerifier, supportsDigest } from "./digest-verifier.ts";
import { parseBearerToken } from "../../protocol/http1/bearer-token.ts";
import { PasswordVerifier, type VerifierOptions } from "./password-verifier.ts";
import type { Secret } from "../../secret.ts";
import { NO_PARAMETERS, UserNames, type UserParameters } from "../../protocol/user-parameters.ts";
import type { ExemptClients } from "./exempt-clients.ts";
import { TokenVerifier } from "./token-verifier.ts";
import type { UserStore } from "./user-store.ts";

/** Schemes of the Proxy-Authorization field: RFC 7617 and RFC 7616. */
export type AuthScheme = "basic" | "digest";

export interface AuthenticatorOptions extends VerifierOptions {
  /** Who may use the proxy. Without it no credentials are asked for or looked at. */
  readonly users?: UserStore;
  /** The realm that browsers show; default `penstock`. */
  readonly realm?: string;
  /** In the order of the challenges; default Basic alone. */
  readonly schemes?: readonly AuthScheme[];
  /** Names of the parameters that user names may end with; default none. */
  readonly parameters?: readonly string[];
  /** Clients that need no credentials. */
  readonly exempt?: ExemptClients;
}

/** Authenticates users, for all protocols of clients. It keeps nothing: `checks` are those of the gate. */
export interface Authenticator {
  /** Whether clients must show credentials. */
  readonly required: boolean;
  /** Reads user names as clients send them; undefined when none has parameters. */
  readonly names?: UserNames;
  /** Clients that need no credentials. Those that show some are judged by them. */
  readonly exempt?: ExemptClients;
  /**
   * Judges the values of all Proxy-Authorization fields of a request (RFC 9110
   * §11.7.2). Gives a value, not a promise, when no password has to be hashed.
   * Digest needs the request: without one its credentials count as none. A check
   * that has to wait takes the turn of `asker`.
   */
  authenticate(
    fieldValues: readonly string[],
    checks: CredentialChecks,
    request?: AuthRequest,
    asker?: Asker,
  ): AuthOutcome | Promise<AuthOutcome>;
  /** Whether this value has the same outcome each time: true for Basic and a list of users. */
  isSettled(fieldValue: string): boolean;
  /** Judges a user and a password that came by another protocol, such as SOCKS5. */
  verifyPassword(
    user: string,
    password: Secret,
    checks: CredentialChecks,
    asker?: Asker,
  ): AuthOutcome | Promise<AuthOutcome>;
  /** The values of the Proxy-Authenticate fields of a 407 (RFC 9110 §11.7.1), after the outcome that is answered. */
  challenge(checks: CredentialChecks, outcome?: Answered): string[];
}

/** What a challenge has to say of the credentials before it. */
export interface Answered {
  readonly stale?: boolean;
  readonly detail?: string;
}

const NOBODY_ASKED: AuthOutcome = { ok: true, user: undefined };
const REQUIRED: AuthOutcome = { ok: false, detail: "credentials_required" };
const MALFORMED: AuthOutcome = { ok: false, detail: "credentials_malformed" };

/**
 * Makes the authenticator of a compiled configuration. Throws when the realm is
 * not 1 to 200 printable ASCII characters, when there is no scheme, and when
 * Digest is asked of users that it cannot verify.
 */
export function createAuthenticator(options: AuthenticatorOptions = {}): Authenticator {
  const { users } = options;
  return users === undefined ? askNobody() : new UserAuthenticator(users, options);
}

function askNobody(): Authenticator {
  return {
    required: false,
    authenticate: () => NOBODY_ASKED,
    isSettled: () => true,
    verifyPassword: () => NOBODY_ASKED,
    challenge: () => [],
  };
}

class UserAuthenticator implements Authenticator {
  readonly required = true;
  readonly names?: UserNames;
  readonly exempt?: ExemptClients;
  readonly #schemes: readonly AuthScheme[];
  readonly #hasList: boolean;
  readonly #verifier: PasswordVerifier | TokenVerifier;
  readonly #digest: DigestVerifier | undefined;
  readonly #basicChallenge: string;
  readonly #bearerChallenge: string;

  constructor(users: UserStore, options: AuthenticatorOptions) {
    const { realm = "penstock", schemes = ["basic"], parameters = [] } = options;
    if (schemes.length === 0) throw new RangeError("There is no authentication scheme. Wanted is basic or digest.");
    if (parameters.length > 0) this.names = new UserNames(parameters);
    if (options.exempt !== undefined) this.exempt = options.exempt;
    this.#schemes = schemes;
    this.#hasList = users.kind === "list";
    this.#verifier =
      users.kind === "token" ? new TokenVerifier(users, options, this.names) : new PasswordVerifier(users, options);
    this.#digest = schemes.includes("digest") ? createDigest(users, realm, this.names) : undefined;
    this.#basicChallenge = `Basic realm=${quoteRealm(realm)}, charset="UTF-8"`;
    this.#bearerChallenge = `Bearer realm=${quoteRealm(realm)}`;
  }

  authenticate(
    fieldValues: readonly string[],
    checks: CredentialChecks,
    request?: AuthRequest,
    asker?: Asker,
  ): AuthOutcome | Promise<AuthOutcome> {
    const [value] = fieldValues;
    if (value === undefined) return REQUIRED;
    if (fieldValues.length > 1) return MALFORMED;
    return (
      this.#judgeBasic(value, checks, asker) ??
      this.#judgeBearer(value, checks, asker) ??
      this.#judgeDigest(value, checks, request) ??
      REQUIRED
    );
  }

  isSettled(fieldValue: string): boolean {
    return this.#hasList && this.#schemes.includes("basic") && parseBasicCredentials(fieldValue).ok;
  }

  verifyPassword(
    name: string,
    password: Secret,
    checks: CredentialChecks,
    asker?: Asker,
  ): AuthOutcome | Promise<AuthOutcome> {
    const read = this.names?.read(name);
    if (read === undefined) return this.#verifier.verify({ user: name, password }, checks, asker);
    // Before the store is asked: the answer says nothing about which users there are.
    if (!read.ok) return { ok: false, detail: "parameters_malformed", note: read.note };
    const { user, parameters } = read;
    const shown = { user, password, parameters: parameters ?? NO_PARAMETERS };
    const outcome = this.#verifier.verify(shown, checks, asker);
    if (parameters === undefined) return outcome;
    return outcome instanceof Promise
      ? outcome.then((late) => addParameters(late, parameters))
      : addParameters(outcome, parameters);
  }

  challenge(checks: CredentialChecks, outcome?: Answered): string[] {
    const challenges = this.#schemes.flatMap((scheme) =>
      scheme === "basic" ? [this.#basicChallenge] : (this.#digest?.challenges(checks, outcome?.stale === true) ?? []),
    );
    if (!(this.#verifier instanceof TokenVerifier)) return challenges;
    // RFC 6750 §3.1. After the others: programs that know only one of them often look at the first alone.
    const isRefused = outcome?.detail === "token_invalid" || outcome?.detail === "token_expired";
    return [...challenges, isRefused ? `${this.#bearerChallenge}, error="invalid_token"` : this.#bearerChallenge];
  }

  /** Undefined when the value is of another scheme, or tokens are not spoken. */
  #judgeBearer(
    value: string,
    checks: CredentialChecks,
    asker: Asker | undefined,
  ): AuthOutcome | Promise<AuthOutcome> | undefined {
    if (!(this.#verifier instanceof TokenVerifier)) return undefined;
    const parsed = parseBearerToken(value);
    if (parsed === undefined) return undefined;
    return parsed.ok ? this.#verifier.verifyToken(parsed.token, checks, asker) : MALFORMED;
  }

  /** Undefined when the value is of another scheme, or Basic is not spoken. */
  #judgeBasic(
    value: string,
    checks: CredentialChecks,
    asker: Asker | undefined,
  ): AuthOutcome | Promise<AuthOutcome> | undefined {
    if (!this.#schemes.includes("basic")) return undefined;
    const parsed = parseBasicCredentials(value);
    if (!parsed.ok) return parsed.code === "other_scheme" ? undefined : MALFORMED;
    return this.verifyPassword(parsed.credentials.user, parsed.credentials.password, checks, asker);
  }

  /** Undefined when the value is of another scheme, or Digest is not spoken. */
  #judgeDigest(value: string, checks: CredentialChecks, request: AuthRequest | undefined): AuthOutcome | undefined {
    return request && this.#digest?.verify(value, request, checks);
  }
}

function addParameters(outcome: AuthOutcome, parameters: UserParameters): AuthOutcome {
  return outcome.ok ? { ...outcome, parameters } : outcome;
}

function createDigest(users: UserStore, realm: string, names: UserNames | undefined): DigestVerifier {
  if (!supportsDigest(users)) throw new RangeError("Digest needs at least one user with a password in plain text.");
  // Clients disagree on whether the backslashes before these are part of what is hashed.
  if (/["\\]/.test(realm))
    throw new RangeError(
      `The realm ${JSON.stringify(realm)} has quotes or backslashes: Digest does not work with them.`,
    );
  return new DigestVerifier(users, realm, names);
}

function quoteRealm(realm: string): string {
  if (!/^[ -~]{1,200}$/.test(realm)) {
    throw new RangeError(`The realm ${JSON.stringify(realm)} is not 1 to 200 printable ASCII characters.`);
  }
  return quoteString(realm);
}
