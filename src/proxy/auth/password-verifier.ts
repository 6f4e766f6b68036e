import { callHook } from "../hook/call-hook.ts";
import type { Asker, AuthOutcome, CredentialChecks, Finding } from "./credential-checks.ts";
import type { Secret } from "../../secret.ts";
import { isPassword, isUserName, type UserCheck, type UserStore } from "./user-store.ts";

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

/** Verifies passwords of a store. Plain passwords and cached results need no promise. */
export class PasswordVerifier {
  readonly #store: UserStore;
  readonly #cacheTtlMs: number;
  readonly #hookDeadlineMs: number;

  constructor(store: UserStore, { cacheTtlMs = 300_000, hookDeadlineMs = 5_000 }: VerifierOptions = {}) {
    this.#store = store;
    this.#cacheTtlMs = cacheTtlMs;
    this.#hookDeadlineMs = hookDeadlineMs;
  }

  /** Finds out whether `password` is that of `user`. For an unknown user the same work is done as for a known one. */
  verify(
    user: string,
    password: Secret,
    checks: CredentialChecks,
    asker: Asker = NOBODY,
  ): AuthOutcome | Promise<AuthOutcome> {
    const given = password.reveal();
    // What no field of Basic can carry may still come by SOCKS.
    if (!isUserName(user) || !isPassword(given)) return WRONG;
    const store = this.#store;
    let against: string;
    let run: () => Promise<Finding>;
    if (store.kind === "function") {
      against = `function ${store.id}`;
      run = () => askFunction(store.check, user, given, this.#hookDeadlineMs);
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
    const finding = checks.find({ user, kind: store.kind, digest, cacheTtlMs: this.#cacheTtlMs, run }, asker);
    return finding instanceof Promise ? finding.then((found) => conclude(found, user)) : conclude(finding, user);
  }
}

/** Asks a function of the configuration whether the password is the user's, for at most `deadlineMs` milliseconds. */
async function askFunction(check: UserCheck, user: string, password: string, deadlineMs: number): Promise<Finding> {
  const asked = await callHook(() => check(user, password), deadlineMs, [password]);
  if (!asked.ok) return asked.fault;
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
