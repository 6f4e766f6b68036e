import type { UserParameters } from "../../protocol/user-parameters.ts";
import type { HookFault } from "../hook/call-hook.ts";
import { CredentialCache } from "./credential-cache.ts";
import { DigestNonces } from "./digest-nonces.ts";
import { FairQueue, type FairQueueLimits, type JobOwner, type NotDone } from "./fair-queue.ts";
import { KeySets, type KeySetsOptions } from "./key-sets.ts";
import type { TokenFinding } from "./token-store.ts";
import type { UserStore } from "./user-store.ts";

/** The user, undefined when no credentials are asked for; or why the user is not known. */
export type AuthOutcome =
  | {
      readonly ok: true;
      readonly user: string | undefined;
      /** The parameters in the user name; undefined for none. */
      readonly parameters?: UserParameters;
    }
  | {
      readonly ok: false;
      readonly detail:
        | "credentials_required"
        | "credentials_malformed"
        | "credentials_wrong"
        | "parameters_malformed"
        | "token_invalid"
        | "token_expired"
        | "keys_unavailable"
        | "auth_busy"
        | "hook_failed"
        /** The client went away while it waited for its turn. */
        | "client_gone";
      /** With `hook_failed`: how the function of `users` failed. */
      readonly fault?: HookFault;
      /** With `parameters_malformed` and tokens: what is wrong. */
      readonly note?: string;
      /** For `challenge`: the client may try again with the same credentials. */
      readonly stale?: true;
    };

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

/** What was found out about a user and a password. */
export type Finding = "accepted" | "refused" | NotDone | HookFault;

/** What a function of the configuration finds out about one user name with its parameters. */
export interface SpecialCheck {
  readonly digest: string;
  /** Whether the function looked at the parameters: otherwise its answer holds for all of them. */
  readonly isMeant: () => boolean;
}

/** How a user and a password are checked when nothing is known about them. */
export interface Check {
  readonly user: string;
  readonly kind: "list" | "function";
  /** The key of what is found out. */
  readonly digest: string;
  readonly special?: SpecialCheck | undefined;
  /** Milliseconds for which a right password is cached; 0 for not at all. */
  readonly cacheTtlMs: number;
  readonly run: () => Promise<Finding>;
}

export interface CredentialChecksOptions {
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
  /** Milliseconds since the epoch, for the times in tokens. */
  readonly wallClock?: () => number;
  /** Fetches public keys, for tests. */
  readonly fetch?: KeySetsOptions["fetch"];
  /** Bounds of the queues, for tests. */
  readonly limits?: Partial<FairQueueLimits>;
}

const LIMITS = { waiting: 1024, waitingPerClient: 256, waitMs: 10_000 };
/** Hashes at once, each on a thread of its own; or calls of a function of the configuration. */
const HASHES_AT_ONCE = 4;
const CALLS_AT_ONCE = 64;

/**
 * What a gate knows and does about credentials, whatever the users are now: a
 * reload leaves verified passwords verified and Digest nonces good, and the
 * bounds hold for the checks of both configurations together.
 */
export class CredentialChecks {
  readonly cache = new CredentialCache();
  readonly nonces = new DigestNonces();
  readonly now: () => number;
  readonly wallClock: () => number;
  /** The public keys that tokens are verified with. */
  readonly keys: KeySets;
  /** Where checks wait for their turn. */
  readonly queues: Readonly<Record<UserStore["kind"], FairQueue>>;
  readonly #underWay = new Map<string, UnderWay<Finding>>();
  readonly #tokensUnderWay = new Map<string, UnderWay<TokenFinding | NotDone>>();

  constructor({ now = () => performance.now(), wallClock = Date.now, fetch, limits }: CredentialChecksOptions = {}) {
    this.now = now;
    this.wallClock = wallClock;
    this.keys = new KeySets({ now, ...(fetch && { fetch }) });
    this.queues = {
      list: new FairQueue({ running: HASHES_AT_ONCE, ...LIMITS, ...limits }),
      function: new FairQueue({ running: CALLS_AT_ONCE, ...LIMITS, ...limits }),
      // Most wait for nothing but the keys.
      token: new FairQueue({ running: CALLS_AT_ONCE, ...LIMITS, ...limits }),
    };
  }

  /** Gives what is known, or checks it in the turn of the client. Equal checks of one client run once. */
  find(check: Check, asker: Asker): Finding | Promise<Finding> {
    const { user, special } = check;
    // A session that changes all the time is still the same user with the same password.
    const isGeneral = special === undefined || this.cache.find(check.digest, this.now()) !== undefined;
    const digest = isGeneral ? check.digest : special.digest;
    const recalled = this.cache.recall(digest, this.now());
    if (recalled !== undefined) return recalled;
    const run = () => this.#findOut(check, asker.client);
    return this.#takeTurn(this.#underWay, check.kind, { digest, user, asker, run });
  }

  /** Verifies a token that is not known, in the turn of the client. */
  findToken(digest: string, asker: Asker, run: () => Promise<TokenFinding>): Promise<TokenFinding | NotDone> {
    const verify = async (): Promise<TokenFinding> => {
      const found = await run();
      // Who has shown a good token has no name before the next one is verified.
      if ("token" in found) this.cache.trust(asker.client, "", this.now());
      return found;
    };
    return this.#takeTurn(this.#tokensUnderWay, "token", { digest, user: "", asker, run: verify });
  }

  #takeTurn<Found>(
    all: Map<string, UnderWay<Found | NotDone>>,
    kind: UserStore["kind"],
    { digest, user, asker, run }: { digest: string; user: string; asker: Asker; run: () => Promise<Found> },
  ): Promise<Found | NotDone> {
    // Of each client its own: what another one asks waits in the queue of that one.
    const key = `${asker.client}\0${digest}`;
    const underWay = all.get(key);
    if (underWay !== undefined) {
      underWay.askers.add(asker);
      return underWay.finding;
    }
    const askers = new Askers(asker, this.cache.isTrusted(asker.client, user, this.now()));
    const finding = this.queues[kind].run(askers, run).finally(() => all.delete(key));
    all.set(key, { finding, askers });
    return finding;
  }

  async #findOut({ user, kind, digest, special, cacheTtlMs, run }: Check, client: string): Promise<Finding> {
    // Another client may have asked the same meanwhile.
    const known = this.cache.find(digest, this.now()) ?? (special && this.cache.find(special.digest, this.now()));
    if (known !== undefined) return known;
    const found = await run();
    const now = this.now();
    if (found === "accepted") {
      this.cache.rememberVerified(special?.isMeant() === true ? special.digest : digest, now, cacheTtlMs);
      this.cache.trust(client, user, now);
    }
    // A function may change its mind about a refusal at any time.
    if (found === "refused" && kind === "list") this.cache.rememberRefused(digest, now);
    return found;
  }
}

/** A check under way, and the clients that wait for it. */
interface UnderWay<Found> {
  readonly finding: Promise<Found>;
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
