import { timingSafeEqual } from "node:crypto";
import {
  computeDigestResponse,
  computeHa1,
  type DigestAlgorithm,
  formatDigestChallenge,
  parseDigestCredentials,
} from "../../protocol/http1/digest.ts";
import type { AuthOutcome, CredentialChecks } from "./credential-checks.ts";
import { Secret } from "../../secret.ts";
import type { UserNames } from "../../protocol/user-parameters.ts";
import { isUserName, type ListStore, type UserStore } from "./user-store.ts";

/** The request that credentials came with. */
export interface AuthRequest {
  readonly method: string;
  /** The request-target, verbatim. */
  readonly target: string;
}

/** The nonces of a gate and its clock. */
type NonceSource = Pick<CredentialChecks, "nonces" | "now">;

/** The order is that of the challenges: clients take the first that they know (RFC 7616 §3.7). */
const ALGORITHMS: readonly DigestAlgorithm[] = ["SHA-256", "MD5"];

const WRONG: AuthOutcome = { ok: false, detail: "credentials_wrong" };
const MALFORMED: AuthOutcome = { ok: false, detail: "credentials_malformed" };
const STALE: AuthOutcome = { ok: false, detail: "credentials_required", stale: true };

/** Stands in for the password of a user that has none in plain text, or is unknown. Whatever the result, the answer is no. */
const NO_PASSWORD = new Secret("");

/** Whether anybody in the store can be verified by Digest: it needs passwords in plain text. */
export function supportsDigest(store: UserStore): store is ListStore {
  return store.kind === "list" && store.hasPlain;
}

/** Verifies Digest credentials (RFC 7616) of users whose passwords are stored in plain text. */
export class DigestVerifier {
  readonly #store: ListStore;
  readonly #realm: string;
  readonly #names: UserNames | undefined;

  constructor(store: ListStore, realm: string, names?: UserNames) {
    this.#store = store;
    this.#realm = realm;
    this.#names = names;
  }

  /** Judges a Proxy-Authorization value; undefined when it is of another scheme. */
  verify(value: string, request: AuthRequest, { nonces, now }: NonceSource): AuthOutcome | undefined {
    const parsed = parseDigestCredentials(value);
    if (!parsed.ok) return parsed.code === "other_scheme" ? undefined : MALFORMED;
    const { user: name, realm, algorithm, nonce, uri, counted, response } = parsed.credentials;
    const read = this.#names?.read(name);
    if (read?.ok === false) return { ok: false, detail: "parameters_malformed", note: read.note };
    const { user, parameters } = read ?? { user: name, parameters: undefined };
    if (!isUserName(user)) return MALFORMED;
    const found = this.#store.find(user);
    const plain = found?.known && found.record.kind === "plain" ? found.record.password : undefined;
    // The client hashes the name that it sends, parameters included.
    const ha1 = computeHa1(algorithm, name, this.#realm, plain ?? NO_PASSWORD);
    const expected = computeDigestResponse({ algorithm, ha1, nonce, method: request.method, uri, counted });
    const matches = timingSafeEqual(Buffer.from(response), Buffer.from(expected));
    if (!matches || plain === undefined || realm !== this.#realm || !isSameTarget(uri, request.target)) return WRONG;
    // Only now: a nonce from before a restart is stale and not wrong.
    if (!nonces.use(nonce, counted.nonceCount, now())) return STALE;
    return parameters === undefined ? { ok: true, user } : { ok: true, user, parameters };
  }

  /** The values of the Proxy-Authenticate fields: one nonce, each algorithm. */
  challenges({ nonces, now }: NonceSource, stale: boolean): string[] {
    const nonce = nonces.issue(now());
    return ALGORITHMS.map((algorithm) => formatDigestChallenge({ realm: this.#realm, nonce, algorithm, stale }));
  }
}

/**
 * Whether `uri` is that of the request (RFC 7616 §3.4.6). Some clients, curl
 * among them, leave scheme and authority out of it where the request-target is
 * in absolute-form.
 */
function isSameTarget(uri: string, target: string): boolean {
  if (uri === target) return true;
  const path = /^(?:http|ws)s?:\/\/[^/?#]*(.*)$/is.exec(target)?.[1];
  return path !== undefined && uri === (path.startsWith("/") ? path : `/${path}`);
}
