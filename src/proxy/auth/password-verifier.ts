import { callHook } from "../hook/call-hook.ts";
import { WebhookFault } from "../hook/webhook.ts";
import { NO_PARAMETERS, type UserParameters } from "../../protocol/user-parameters.ts";
import type { Asker, AuthOutcome, CredentialChecks, Finding, SpecialCheck } from "./credential-checks.ts";
import type { Secret } from "../../secret.ts";
import { isPassword, isUserName, type PasswordStore } from "./user-store.ts";
import { WatchedParameters } from "./watched-parameters.ts";

export interface VerifierOptions {
  /** Milliseconds for which verified credentials are cached; default 300,000, 0 for none. */
  readonly cacheTtlMs?: number;
  /** Milliseconds for a function of the configuration to answer; default 5,000. */
  readonly hookDeadlineMs?: number;
}

const NOBODY: Asker = { client: "", network: "", isGone: () => false, whenGone: () => {} };

const WRONG: AuthOutcome = { ok: false, detail: "credentials_wrong" };
const BUSY: AuthOutcome = { ok: false, detail: "auth_busy" };
const GONE: AuthOutcome = { ok: false, detail: "client_gone" };

/** What a client shows. */
export interface Shown {
  readonly user: string;
  readonly password: Secret;
  /** The parameters in the user name, for functions; undefined where there are none in user names. */
  readonly parameters?: UserParameters;
}

/** Verifies passwords of a store. Plain passwords and cached results need no promise. */
export class PasswordVerifier {
  readonly #store: PasswordStore;
  readonly #cacheTtlMs: number;
  readonly #hookDeadlineMs: number;

  constructor(store: PasswordStore, { cacheTtlMs = 300_000, hookDeadlineMs = 5_000 }: VerifierOptions = {}) {
    this.#store = store;
    this.#cacheTtlMs = cacheTtlMs;
    this.#hookDeadlineMs = hookDeadlineMs;
  }

  /** Finds out whether the password is that of the user. For an unknown user the same work is done as for a known one. */
  verify(
    { user, password, parameters }: Shown,
    checks: CredentialChecks,
    asker: Asker = NOBODY,
  ): AuthOutcome | Promise<AuthOutcome> {
    const given = password.reveal();
    // What no field of Basic can carry may still come by SOCKS.
    if (!isUserName(user) || !isPassword(given)) return WRONG;
    const store = this.#store;
    let against: string;
    let run: () => Promise<Finding>;
    let special: SpecialCheck | undefined;
    if (store.kind === "function") {
      against = `function ${store.id}`;
      const watched = parameters && new WatchedParameters(parameters);
      const shown = watched?.shown ?? NO_PARAMETERS;
      run = () => askFunction(() => store.check(user, given, shown), given, this.#hookDeadlineMs);
      special = watched && {
        digest: checks.cache.digest(`${against} ${JSON.stringify(parameters)}`, user, given),
        isMeant: () => watched.seen,
      };
    } else {
      const found = store.find(user);
      if (found === undefined) return WRONG;
      const { known, record } = found;
      if (record.kind === "plain") return record.matches(password) && known ? { ok: true, user } : WRONG;
      const hash = record.hash.reveal();
      // The mark keeps what is found out about a decoy from ever speaking for a user.
      against = known ? `user ${hash}` : `decoy ${hash}`;
      run = () => verifyHash(given, hash, known);
    }
    const digest = checks.cache.digest(against, user, given);
    const check = { user, kind: store.kind, digest, special, cacheTtlMs: this.#cacheTtlMs, run };
    const finding = checks.find(check, asker);
    return finding instanceof Promise ? finding.then((found) => conclude(found, user)) : conclude(finding, user);
  }
}

/** Asks a function of the configuration whether the password is the user's, for at most `deadlineMs` milliseconds. */
async function askFunction(ask: () => unknown, password: string, deadlineMs: number): Promise<Finding> {
  const asked = await callHook(ask, deadlineMs, [password]);
  if (!asked.ok) return asked.fault;
  if (asked.answer instanceof WebhookFault) return { what: "webhook", why: asked.answer.why };
  if (asked.answer === true) return "accepted";
  // The type says boolean; a configuration in plain JavaScript may say anything.
  return asked.answer === false ? "refused" : { why: "answered with no boolean" };
}

/** `busy` when the hash could not be computed: what is stored was looked at when it was read, so it is memory that is missing. */
async function verifyHash(password: string, hash: string, known: boolean): Promise<Finding> {
  try {
    const matches = await Bun.password.verify(password, hash);
    return matches && known ? "accepted" : "refused";
  } catch {
    return "busy";
  }
}

function conclude(finding: Finding, user: string): AuthOutcome {
  switch (finding) {
    case "accepted":
      return { ok: true, user };
    case "refused":
      return WRONG;
    case "busy":
      return BUSY;
    case "gone":
      return GONE;
    default:
      return { ok: false, detail: "hook_failed", fault: finding };
  }
}
