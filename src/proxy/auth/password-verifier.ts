import type { HookFault } from "../hook/call-hook.ts";
import { type CheckCounts, CredentialCache } from "./credential-cache.ts";
import { isPassword, isUserName } from "./credential-text.ts";
import { runUserCheck } from "./run-user-check.ts";
import type { Secret } from "./secret.ts";
import type { FunctionStore, ListStore, UserStore } from "./user-store.ts";
import { WorkQueue } from "./work-queue.ts";

/** Whether the password is the user's, or why that is not known. */
export type VerifyOutcome =
  | { readonly ok: true; readonly user: string }
  | {
      readonly ok: false;
      readonly detail: "credentials_wrong" | "auth_busy" | "hook_failed";
      /** With `hook_failed`: how the function failed. */
      readonly fault?: HookFault;
    };

export interface VerifierOptions {
  /** Milliseconds for which verified credentials are not verified again; 300,000 unless told otherwise, 0 for never. */
  readonly cacheTtlMs?: number;
  /** Milliseconds for a function of the configuration to answer; 5,000 unless told otherwise. */
  readonly hookDeadlineMs?: number;
  /** Password hashes computed at once, each on a thread of its own; 4 unless told otherwise. */
  readonly hashesInFlight?: number;
  /** Calls of a function of the configuration at once; 64 unless told otherwise. */
  readonly hooksInFlight?: number;
  /** Verifications that may wait for their turn; 256 unless told otherwise. Beyond that the answer is `auth_busy`. */
  readonly queued?: number;
  /** Pass the same one again after a reload, so that nobody is verified anew without a reason. */
  readonly cache?: CredentialCache;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

const WRONG: VerifyOutcome = { ok: false, detail: "credentials_wrong" };
const BUSY: VerifyOutcome = { ok: false, detail: "auth_busy" };

/** A finding about credentials, before it is about a user. */
type Finding = "accepted" | "refused" | HookFault;

/**
 * Verifies passwords off the hot path. What is known already, and plain
 * passwords, are answered at once without a promise; hashes and functions are
 * answered later, once for all who ask the same at the same time.
 */
export class PasswordVerifier {
  readonly #store: UserStore;
  readonly #cache: CredentialCache;
  readonly #cacheTtlMs: number;
  readonly #hookDeadlineMs: number;
  readonly #queue: WorkQueue;
  readonly #underWay = new Map<string, Promise<Finding>>();
  readonly #now: () => number;

  constructor(store: UserStore, options: VerifierOptions = {}) {
    this.#store = store;
    this.#cache = options.cache ?? new CredentialCache();
    this.#cacheTtlMs = options.cacheTtlMs ?? 300_000;
    this.#hookDeadlineMs = options.hookDeadlineMs ?? 5_000;
    const running = store.kind === "list" ? (options.hashesInFlight ?? 4) : (options.hooksInFlight ?? 64);
    this.#queue = new WorkQueue(running, options.queued ?? 256);
    this.#now = options.now ?? (() => performance.now());
  }

  /** How often memory could answer, for metrics. */
  get checks(): CheckCounts {
    return this.#cache;
  }

  /** Finds out whether `password` is that of `user`. For an unknown user the same work is done as for a known one. */
  verify(user: string, password: Secret): VerifyOutcome | Promise<VerifyOutcome> {
    // What no field of Basic can carry may still come by SOCKS.
    if (!isUserName(user) || !isPassword(password.reveal())) return WRONG;
    return this.#store.kind === "list"
      ? this.#verifyAgainstList(this.#store, user, password)
      : this.#verifyByFunction(this.#store, user, password);
  }

  #verifyAgainstList(store: ListStore, user: string, password: Secret): VerifyOutcome | Promise<VerifyOutcome> {
    const found = store.find(user);
    if (found === undefined) return WRONG;
    const { known, record } = found;
    if (record.kind === "plain") {
      const matches = record.matches(password);
      return matches && known ? { ok: true, user } : WRONG;
    }
    const hash = record.hash.reveal();
    // The mark keeps what is found out about a decoy from ever speaking for a user.
    const against = known ? `user ${hash}` : `decoy ${hash}`;
    return this.#recallOrRun(against, user, password, true, async () => {
      const matches = await Bun.password.verify(password.reveal(), hash);
      return matches && known ? "accepted" : "refused";
    });
  }

  #verifyByFunction(store: FunctionStore, user: string, password: Secret): VerifyOutcome | Promise<VerifyOutcome> {
    // A function may change its mind about a refusal at any time, so none is remembered.
    return this.#recallOrRun(`function ${store.id}`, user, password, false, async () => {
      const checked = await runUserCheck(store.check, user, password.reveal(), this.#hookDeadlineMs);
      if (!checked.ok) return checked.fault;
      return checked.answer ? "accepted" : "refused";
    });
  }

  #recallOrRun(
    against: string,
    user: string,
    password: Secret,
    rememberRefused: boolean,
    run: () => Promise<Finding>,
  ): VerifyOutcome | Promise<VerifyOutcome> {
    const digest = this.#cache.digest(against, user, password.reveal());
    const recalled = this.#cache.recall(digest, this.#now());
    if (recalled !== undefined) return conclude(recalled, user);
    let finding = this.#underWay.get(digest);
    if (finding === undefined) {
      finding = this.#queue.run(async () => {
        try {
          const found = await run();
          if (found === "accepted") this.#cache.rememberVerified(digest, this.#now(), this.#cacheTtlMs);
          else if (found === "refused" && rememberRefused) this.#cache.rememberRefused(digest, this.#now());
          return found;
        } finally {
          this.#underWay.delete(digest);
        }
      });
      if (finding === undefined) return BUSY;
      this.#underWay.set(digest, finding);
    }
    return finding.then((found) => conclude(found, user));
  }
}

function conclude(finding: Finding, user: string): VerifyOutcome {
  if (finding === "accepted") return { ok: true, user };
  return finding === "refused" ? WRONG : { ok: false, detail: "hook_failed", fault: finding };
}
