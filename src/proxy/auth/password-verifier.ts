import type { HookFault } from "../hook/call-hook.ts";
import { type CheckCounts, CredentialCache } from "./credential-cache.ts";
import { isPassword, isUserName } from "./credential-text.ts";
import { FairQueue, type FairQueueLimits, type JobOwner, type NotDone } from "./fair-queue.ts";
import { runUserCheck } from "./run-user-check.ts";
import type { Secret } from "../../secret.ts";
import type { FunctionStore, ListStore, UserStore } from "./user-store.ts";

/** Whether the password is the user's, or why that is not known. */
export type VerifyOutcome =
  | { readonly ok: true; readonly user: string }
  | {
      readonly ok: false;
      readonly detail: "credentials_wrong" | "auth_busy" | "hook_failed" | "client_gone";
      /** With `hook_failed`: how the function failed. */
      readonly fault?: HookFault;
    };

export interface VerifierOptions {
  /** Milliseconds for which verified credentials are not verified again; 300,000 unless told otherwise, 0 for never. */
  readonly cacheTtlMs?: number;
  /** Milliseconds for a function of the configuration to answer; 5,000 unless told otherwise. */
  readonly hookDeadlineMs?: number;
  /** Where verifications wait for their turn. Pass the same one again after a reload: its bounds then hold for both. */
  readonly queue?: FairQueue;
  /** Pass the same one again after a reload, so that nobody is verified anew without a reason. */
  readonly cache?: CredentialCache;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** Who waits for a verification. */
export interface Asker {
  /** The key of the client, by which verifications are shared. */
  readonly client: string;
  /** The key of its wider network. */
  readonly network: string;
  /** Whether the client went away. */
  isGone(): boolean;
  /** Takes what is called when the client goes away while it waits for its turn. */
  whenGone(tell: () => void): void;
}

/** Hashes at once, each on a thread of its own; or calls of a function of the configuration. */
const HASHES_AT_ONCE = 4;
const CALLS_AT_ONCE = 64;

/** Makes the queue for verifications by such a store. `limits` are for tests. */
export function createCheckQueue(kind: UserStore["kind"], limits: Partial<FairQueueLimits> = {}): FairQueue {
  const running = kind === "list" ? HASHES_AT_ONCE : CALLS_AT_ONCE;
  return new FairQueue({ running, waiting: 1024, waitingPerClient: 256, waitMs: 10_000, ...limits });
}

const NOBODY: Asker = { client: "", network: "", isGone: () => false, whenGone: () => {} };

const WRONG: VerifyOutcome = { ok: false, detail: "credentials_wrong" };
const BUSY: VerifyOutcome = { ok: false, detail: "auth_busy" };
const GONE: VerifyOutcome = { ok: false, detail: "client_gone" };

/** A finding about credentials, before it is about a user. */
type Finding = "accepted" | "refused" | NotDone | HookFault;

/** What is being found out, and who waits for it. */
interface UnderWay {
  readonly finding: Promise<Finding>;
  readonly askers: Askers;
}

/** Everybody of one client who waits for the same. */
class Askers implements JobOwner {
  readonly client: string;
  readonly network: string;
  readonly trusted: boolean;
  readonly #all: Asker[];
  #look: (() => void) | undefined;

  constructor(first: Asker, trusted: boolean) {
    this.client = first.client;
    this.network = first.network;
    this.trusted = trusted;
    this.#all = [first];
  }

  add(asker: Asker): void {
    this.#all.push(asker);
    if (this.#look !== undefined) asker.whenGone(this.#look);
  }

  isGone(): boolean {
    return this.#all.every((each) => each.isGone());
  }

  watchGone(look: () => void): void {
    this.#look = look;
    for (const each of this.#all) each.whenGone(look);
  }
}

/**
 * Verifies passwords off the hot path. What is known already, and plain
 * passwords, are answered at once without a promise. Hashes and functions are
 * answered later, clients in turn, and once for a client that asks the same
 * several times.
 */
export class PasswordVerifier {
  readonly #store: UserStore;
  readonly #cache: CredentialCache;
  readonly #cacheTtlMs: number;
  readonly #hookDeadlineMs: number;
  readonly #queue: FairQueue;
  readonly #underWay = new Map<string, UnderWay>();
  readonly #now: () => number;

  constructor(store: UserStore, options: VerifierOptions = {}) {
    this.#store = store;
    this.#cache = options.cache ?? new CredentialCache();
    this.#cacheTtlMs = options.cacheTtlMs ?? 300_000;
    this.#hookDeadlineMs = options.hookDeadlineMs ?? 5_000;
    this.#queue = options.queue ?? createCheckQueue(store.kind);
    this.#now = options.now ?? (() => performance.now());
  }

  /** How often memory could answer, for metrics. */
  get checks(): CheckCounts {
    return this.#cache;
  }

  /** Finds out whether `password` is that of `user`. For an unknown user the same work is done as for a known one. */
  verify(user: string, password: Secret, asker: Asker = NOBODY): VerifyOutcome | Promise<VerifyOutcome> {
    // What no field of Basic can carry may still come by SOCKS.
    if (!isUserName(user) || !isPassword(password.reveal())) return WRONG;
    return this.#store.kind === "list"
      ? this.#verifyAgainstList(this.#store, user, password, asker)
      : this.#verifyByFunction(this.#store, user, password, asker);
  }

  #verifyAgainstList(
    store: ListStore,
    user: string,
    password: Secret,
    asker: Asker,
  ): VerifyOutcome | Promise<VerifyOutcome> {
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
    return this.#recallOrRun(against, user, password, asker, true, async () => {
      const matches = await verifyHash(password, hash);
      if (matches === undefined) return "busy";
      return matches && known ? "accepted" : "refused";
    });
  }

  #verifyByFunction(
    store: FunctionStore,
    user: string,
    password: Secret,
    asker: Asker,
  ): VerifyOutcome | Promise<VerifyOutcome> {
    // A function may change its mind about a refusal at any time, so none is remembered.
    return this.#recallOrRun(`function ${store.id}`, user, password, asker, false, async () => {
      const checked = await runUserCheck(store.check, user, password.reveal(), this.#hookDeadlineMs);
      if (!checked.ok) return checked.fault;
      return checked.answer ? "accepted" : "refused";
    });
  }

  #recallOrRun(
    against: string,
    user: string,
    password: Secret,
    asker: Asker,
    rememberRefused: boolean,
    run: () => Promise<Finding>,
  ): VerifyOutcome | Promise<VerifyOutcome> {
    const digest = this.#cache.digest(against, user, password.reveal());
    const recalled = this.#cache.recall(digest, this.#now());
    if (recalled !== undefined) return conclude(recalled, user);
    // Of each client its own: what another one asks waits in the queue of that one.
    const key = `${asker.client}\0${digest}`;
    const before = this.#underWay.get(key);
    if (before !== undefined) {
      before.askers.add(asker);
      return before.finding.then((found) => conclude(found, user));
    }
    const askers = new Askers(asker, this.#cache.isTrusted(asker.client, user, this.#now()));
    const finding = this.#findOut(user, askers, digest, rememberRefused, run);
    this.#underWay.set(key, { finding, askers });
    return finding.finally(() => this.#underWay.delete(key)).then((found) => conclude(found, user));
  }

  #findOut(
    user: string,
    askers: Askers,
    digest: string,
    rememberRefused: boolean,
    run: () => Promise<Finding>,
  ): Promise<Finding> {
    return this.#queue.run(askers, async () => {
      // Another client may have asked the same meanwhile.
      const known = this.#cache.find(digest, this.#now());
      if (known !== undefined) return known;
      const found = await run();
      const now = this.#now();
      if (found === "accepted") {
        this.#cache.rememberVerified(digest, now, this.#cacheTtlMs);
        this.#cache.trust(askers.client, user, now);
      } else if (found === "refused" && rememberRefused) this.#cache.rememberRefused(digest, now);
      return found;
    });
  }
}

/** Undefined when the hash could not be computed: what is stored was looked at when it was read, so it is memory that is missing. */
async function verifyHash(password: Secret, hash: string): Promise<boolean | undefined> {
  try {
    return await Bun.password.verify(password.reveal(), hash);
  } catch {
    return undefined;
  }
}

function conclude(finding: Finding, user: string): VerifyOutcome {
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
