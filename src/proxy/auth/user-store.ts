import { isStep, runAtOnce, type Steps } from "../../steps.ts";
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { classifyPassword } from "./password-hash.ts";
import type { TokenStore } from "./token-store.ts";
import type { WebhookFault } from "../hook/webhook.ts";
import type { Secret } from "../../secret.ts";
import type { UserParameters } from "../../protocol/user-parameters.ts";

/** Bytes of UTF-8 that a user name may have: what SOCKS5 can carry (RFC 1929 §2). */
const MAX_USER_BYTES = 255;

// NUL ends a bcrypt password early, and control characters have no business in a log.
const CONTROL = /\p{Cc}/u;

/**
 * Whether a text can be a user name: 1 to 255 bytes of UTF-8, no control
 * characters (RFC 7617 §2), no colon, since Basic could not carry it.
 */
export function isUserName(text: string): boolean {
  return text !== "" && !text.includes(":") && !CONTROL.test(text) && Buffer.byteLength(text) <= MAX_USER_BYTES;
}

/** Whether a text can be a password: no control characters (RFC 7617 §2). It may be empty. */
export function isPassword(text: string): boolean {
  return !CONTROL.test(text);
}

/** A user as configured: the password is a bcrypt or argon2id hash, or plain text. */
export interface UserEntry {
  readonly name: string;
  readonly password: Secret;
}

/** A function of the configuration that knows the users. Anything but `true` denies. */
export type UserCheck = (
  user: string,
  password: string,
  parameters: UserParameters,
) => UserAnswer | Promise<UserAnswer>;

/** Whether the password is the one of the user. */
export type UserAnswer = boolean | WebhookFault;

/** What is wrong with the user at `index` of the list. */
export interface UserProblem {
  readonly index: number;
  readonly message: string;
}

/** Who may use the proxy, compiled. */
export type UserStore = PasswordStore | TokenStore;

/** Users who show a password. */
export type PasswordStore = ListStore | FunctionStore;

/** Users known by name. */
export interface ListStore {
  readonly kind: "list";
  /** The user, or a decoy to spend the same time on; undefined only when there are no users at all. */
  find(user: string): FoundUser | undefined;
  /** Whether some passwords are known in plain text, which Digest needs. */
  readonly hasPlain: boolean;
}

/** Users known to a function. */
export interface FunctionStore {
  readonly kind: "function";
  readonly check: UserCheck;
  /** Tells one function store of this process from another, for caches. */
  readonly id: string;
}

export interface FoundUser {
  /** False for a decoy: whatever its verification says, the answer is no. */
  readonly known: boolean;
  readonly record: UserRecord;
}

export type UserRecord =
  | { readonly kind: "hash"; readonly hash: Secret }
  | {
      readonly kind: "plain";
      readonly password: Secret;
      /** Compares in a time that depends on the length of `password` alone. */
      matches(password: Secret): boolean;
    };

export type UserStoreResult =
  | { readonly ok: true; readonly store: PasswordStore }
  | { readonly ok: false; readonly problems: readonly UserProblem[] };

// Neither ever leaves the process, so nobody outside of it can tell what the
// digest of a password is or which decoy a name gets.
const plainKey = randomBytes(32);
const decoySeed = randomBytes(4).readUInt32BE(0);

/** Compiles a list of users, or tells everything that is wrong with it. */
export function createUserStore(users: readonly UserEntry[]): UserStoreResult {
  return runAtOnce(createStoreInSteps(users));
}

/** `createUserStore`, in steps. */
export function* createStoreInSteps(users: readonly UserEntry[]): Steps<UserStoreResult> {
  const problems: UserProblem[] = [];
  const records = new Map<string, UserRecord>();
  for (const [index, { name, password }] of users.entries()) {
    if (isStep(index)) yield;
    const problem = findProblem(name, password);
    if (problem !== undefined) problems.push({ index, message: problem });
    else if (records.has(name))
      problems.push({
        index,
        message: `${JSON.stringify(name)} is in the list twice. Remove one of them.`,
      });
    else records.set(name, createRecord(password));
  }
  if (problems.length > 0) return { ok: false, problems };
  const decoys = [...records.values()];
  return {
    ok: true,
    store: {
      kind: "list",
      hasPlain: decoys.some(({ kind }) => kind === "plain"),
      find(user) {
        // The decoy is chosen for known users too: that takes time as well.
        const decoy = chooseDecoy(decoys, user);
        const record = records.get(user);
        if (record) return { known: true, record };
        return decoy && { known: false, record: decoy };
      },
    },
  };
}

/** Makes a store of a function. What it may take and how often it is asked is the verifier's matter. */
export function createFunctionStore(check: UserCheck): FunctionStore {
  return { kind: "function", check, id: randomBytes(16).toString("base64") };
}

function findProblem(name: string, password: Secret): string | undefined {
  if (!isUserName(name)) {
    return `${JSON.stringify(name)} is not a user name. Wanted are 1 to 255 bytes without colon or control characters.`;
  }
  const form = classifyPassword(password.reveal());
  if (form.kind === "refused") return `${JSON.stringify(name)} ${form.problem}.`;
  if (!isPassword(password.reveal())) {
    return `${JSON.stringify(name)} has a password with control characters. No client can send it.`;
  }
  return undefined;
}

function createRecord(password: Secret): UserRecord {
  if (classifyPassword(password.reveal()).kind !== "plain") return { kind: "hash", hash: password };
  const expected = digestPlain(password);
  return {
    kind: "plain",
    password,
    matches: (given) => timingSafeEqual(digestPlain(given), expected),
  };
}

function digestPlain(password: Secret): Buffer {
  return createHmac("sha256", plainKey).update(password.reveal()).digest();
}

/**
 * An unknown name always stands in for the same known user. So the time that
 * its refusal takes is spread over unknown names as it is over known ones, even
 * when hashes of different costs and plain passwords are mixed.
 */
function chooseDecoy(decoys: readonly UserRecord[], user: string): UserRecord | undefined {
  return decoys[Bun.hash.xxHash32(user, decoySeed) % decoys.length];
}
