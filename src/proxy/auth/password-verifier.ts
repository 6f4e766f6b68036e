import { callHook, type HookFault } from "../hook/call-hook.ts";
import { type CheckCounts, CredentialCache } from "./credential-cache.ts";
import { FairQueue, type FairQueueLimits, type JobOwner, type NotDone } from "./fair-queue.ts";
import type { Secret } from "../../secret.ts";
import { isPassword, isUserName, type UserCheck, type UserStore } from "./user-store.ts";

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
  /** Milliseconds for which verified credentials are cached; default 300,000, 0 for none. */
  readonly cacheTtlMs?: number;
  /** Milliseconds for a function of the configuration to answer; default 5,000. */
  readonly hookDeadlineMs?: number;
  /** Where verifications wait for their turn. Pass the same one after a reload, so that its bounds hold for both. */
  readonly queue?: FairQueue;
  /** Pass the same one after a reload, so that unchanged users are not verified again. */
  readonly cache?: CredentialCache;
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** A client that waits for a verification. */
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

/** What was found out about a user and a password. */
type Finding = "accepted" | "refused" | NotDone | HookFault;

/** How a user and a password are checked when nothing is known about them. */
interface Check {
  readonly user: string;
  /** The key of what is found out. */
  readonly digest: string;
  /** A function may change its mind about a refusal at any time, so none of its refusals is remembered. */
  readonly remembersRefusal: boolean;
  readonly run: () => Promise<Finding>;
}

/** A check under way, and the clients that wait for it. */
interface UnderWay {
  readonly finding: Promise<Finding>;
  readonly askers: Askers;
}

/** All connections of one client that wait for the same check. */
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
 * Verifies passwords. Plain passwords and cached results need no promise. Hashes
 * and functions run in a queue that serves clients in turn; equal checks of one
 * client run once.
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

  /** Hits and misses of the cache, for metrics. */
  get checks(): CheckCounts {
    return this.#cache;
  }

  /** Finds out whether `password` is that of `user`. For an unknown user the same work is done as for a known one. */
  verify(user: string, password: Secret, asker: Asker = NOBODY): VerifyOutcome | Promise<VerifyOutcome> {
    const given = password.reveal();
    // What no field of Basic can carry may still come by SOCKS.
    if (!isUserName(user) || !isPassword(given)) return WRONG;
    const store = this.#store;
    if (store.kind === "function") {
      const digest = this.#cache.digest(`function ${store.id}`, user, given);
      const run = (): Promise<Finding> => askFunction(store.check, user, given, this.#hookDeadlineMs);
      return this.#recallOrRun({ user, digest, remembersRefusal: false, run }, asker);
    }
    const found = store.find(user);
    if (found === undefined) return WRONG;
    const { known, record } = found;
    if (record.kind === "plain") return record.matches(password) && known ? { ok: true, user } : WRONG;
    const hash = record.hash.reveal();
    // The mark keeps what is found out about a decoy from ever speaking for a user.
    const digest = this.#cache.digest(known ? `user ${hash}` : `decoy ${hash}`, user, given);
    const run = (): Promise<Finding> => verifyHash(given, hash, known);
    return this.#recallOrRun({ user, digest, remembersRefusal: true, run }, asker);
  }

  #recallOrRun(check: Check, asker: Asker): VerifyOutcome | Promise<VerifyOutcome> {
    const { user, digest } = check;
    const recalled = this.#cache.recall(digest, this.#now());
    if (recalled !== undefined) return conclude(recalled, user);
    // Of each client its own: what another one asks waits in the queue of that one.
    const key = `${asker.client}\0${digest}`;
    let underWay = this.#underWay.get(key);
    if (underWay === undefined) {
      const askers = new Askers(asker, this.#cache.isTrusted(asker.client, user, this.#now()));
      const finding = this.#queue
        .run(askers, () => this.#findOut(check, asker.client))
        .finally(() => this.#underWay.delete(key));
      underWay = { finding, askers };
      this.#underWay.set(key, underWay);
    } else underWay.askers.add(asker);
    return underWay.finding.then((found) => conclude(found, user));
  }

  async #findOut({ user, digest, remembersRefusal, run }: Check, client: string): Promise<Finding> {
    // Another client may have asked the same meanwhile.
    const known = this.#cache.find(digest, this.#now());
    if (known !== undefined) return known;
    const found = await run();
    const now = this.#now();
    if (found === "accepted") {
      this.#cache.rememberVerified(digest, now, this.#cacheTtlMs);
      this.#cache.trust(client, user, now);
    } else if (found === "refused" && remembersRefusal) this.#cache.rememberRefused(digest, now);
    return found;
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
