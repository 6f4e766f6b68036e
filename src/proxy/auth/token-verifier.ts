import type { UserNames } from "../../protocol/user-parameters.ts";
import type { Asker, AuthOutcome, CredentialChecks } from "./credential-checks.ts";
import type { KeySet } from "./key-sets.ts";
import type { Shown } from "./password-verifier.ts";
import { findTimeFault, findTokenUserFault, type TokenFinding, type TokenStore } from "./token-store.ts";

/** Characters of a token: what a Basic field has room for. */
const MAX_TOKEN = 6000;
/** The compact form of a signed token (RFC 7515 §7.1). An encrypted one has five parts. */
const TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** The user name that stands for whoever the token names, where a client has to send one. */
const ANY_USER = "token";

const WRONG: AuthOutcome = { ok: false, detail: "token_invalid" };
const NOBODY: Asker = { client: "", network: "", isGone: () => false, whenGone: () => {} };

/** Verifies tokens. What was verified needs no promise as long as it counts. */
export class TokenVerifier {
  readonly #store: TokenStore;
  readonly #cacheTtlMs: number;
  readonly #names: UserNames | undefined;

  constructor(store: TokenStore, { cacheTtlMs = 300_000 }: { cacheTtlMs?: number }, names: UserNames | undefined) {
    this.#store = store;
    this.#cacheTtlMs = cacheTtlMs;
    this.#names = names;
  }

  /** Verifies a token that came as a password. The user name beside it is that of the token, or `token`. */
  verify({ user, password }: Shown, checks: CredentialChecks, asker?: Asker): AuthOutcome | Promise<AuthOutcome> {
    const outcome = this.verifyToken(password.reveal(), checks, asker);
    return outcome instanceof Promise ? outcome.then((late) => compareUser(late, user)) : compareUser(outcome, user);
  }

  verifyToken(token: string, checks: CredentialChecks, asker: Asker = NOBODY): AuthOutcome | Promise<AuthOutcome> {
    if (token.length > MAX_TOKEN || !TOKEN.test(token))
      return { ok: false, detail: "token_invalid", note: "the token has not the form of a signed token" };
    const keys = checks.keys.find(this.#store);
    keys.refresh();
    const digest = this.#digest(token, keys.generation, checks);
    const known = checks.cache.recallToken(digest, checks.now());
    if (known !== undefined) return this.#conclude({ token: known }, checks);
    return checks
      .findToken(digest, asker, () => this.#findOut(token, keys, checks))
      .then((found) =>
        typeof found === "object"
          ? this.#conclude(found, checks)
          : { ok: false, detail: found === "busy" ? "auth_busy" : "client_gone" },
      );
  }

  /** What was verified with other keys does not count. */
  #digest(token: string, generation: number, { cache }: CredentialChecks): string {
    return cache.digest(`token ${this.#store.id} ${generation}`, "", token);
  }

  async #findOut(token: string, keys: KeySet, checks: CredentialChecks): Promise<TokenFinding> {
    if (keys.keys === undefined) await keys.renew();
    let found = await this.#verify(token, keys, checks);
    if (found === "unknown key") {
      const { generation } = keys;
      await keys.renew();
      if (keys.generation !== generation) found = await this.#verify(token, keys, checks);
    }
    if (found === "unknown key")
      return { refusal: { detail: "token_invalid", note: "the token is signed with an unknown key" } };
    return found;
  }

  async #verify(token: string, { keys, fault, generation }: KeySet, checks: CredentialChecks) {
    if (keys === undefined) {
      const why = fault?.why ?? "has not answered yet";
      const note = `the key server of users ${why}`;
      return { refusal: { detail: "keys_unavailable", note } } as const;
    }
    const { verifyToken } = await import("./verify-token.ts");
    const findFault = (user: unknown) => findTokenUserFault(user, this.#names);
    const found = await verifyToken(token, keys, this.#store.demands, findFault, checks.wallClock());
    if (typeof found === "object" && "token" in found) {
      const restMs = found.token.expiresAt * 1000 - checks.wallClock();
      const digest = this.#digest(token, generation, checks);
      checks.cache.rememberToken(digest, found.token, checks.now(), Math.min(this.#cacheTtlMs, restMs));
    }
    return found;
  }

  /** The times are looked at each time: a cached token does not outlive itself. */
  #conclude(found: TokenFinding, checks: CredentialChecks): AuthOutcome {
    const refusal = "token" in found ? findTimeFault(found.token, checks.wallClock()) : found.refusal;
    if (refusal !== undefined) return { ok: false, detail: refusal.detail, note: refusal.note };
    return "token" in found ? { ok: true, user: found.token.user } : WRONG;
  }
}

function compareUser(outcome: AuthOutcome, user: string): AuthOutcome {
  if (!outcome.ok || user === ANY_USER || user === outcome.user) return outcome;
  return { ok: false, detail: "token_invalid", note: 'the user name is neither that of the token nor "token"' };
}
