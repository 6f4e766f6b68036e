import { randomBytes } from "node:crypto";
import { ExpiringLru } from "./expiring-lru.ts";
import type { VerifiedToken } from "./token-store.ts";

/** Hits and misses of the cache. */
export interface CheckCounts {
  readonly hits: number;
  readonly misses: number;
}

export interface CredentialCacheOptions {
  /** The most verified credentials at once; default 4,096, about 1 MB. */
  readonly entries?: number;
}

/** The most refused credentials at once, and milliseconds for which each is cached. */
const REFUSED_ENTRIES = 1024;
const REFUSED_MS = 5_000;
/** The most pairs of client and user with a right password, and milliseconds for which each is cached. */
const TRUSTED_ENTRIES = 4096;
const TRUSTED_MS = 24 * 60 * 60 * 1000;

/**
 * Results of recent password checks. Keys are keyed hashes, which cannot be tried
 * against a list of passwords.
 *
 * Refusals are cached for seconds, by user *and* password: a client that repeats
 * one wrong password costs one hash, and wrong passwords never refuse a right one.
 *
 * One cache can outlive a reload of the configuration: the stored hash is part
 * of the key, so a user whose password changed is verified anew.
 */
export class CredentialCache implements CheckCounts {
  hits = 0;
  misses = 0;
  readonly #key = randomBytes(32);
  readonly #verified: ExpiringLru<true>;
  readonly #refused = new ExpiringLru<true>(REFUSED_ENTRIES);
  readonly #tokens: ExpiringLru<VerifiedToken>;
  readonly #trusted = new ExpiringLru<true>(TRUSTED_ENTRIES);

  constructor(options: CredentialCacheOptions = {}) {
    this.#verified = new ExpiringLru(options.entries ?? 4096);
    this.#tokens = new ExpiringLru(options.entries ?? 4096);
  }

  /** The key of credentials that are checked against `against`. The parts cannot run into each other: a NUL is in none but the last. */
  digest(against: string, user: string, password: string): string {
    const hmac = new Bun.CryptoHasher("sha256", this.#key);
    return hmac.update(`${against}\0${user}\0${password}`).digest("base64");
  }

  /** What is known at `now` (milliseconds), if anything. */
  recall(digest: string, now: number): "accepted" | "refused" | undefined {
    const known = this.find(digest, now);
    if (known === undefined) this.misses += 1;
    else this.hits += 1;
    return known;
  }

  /** As `recall`, without counting. */
  find(digest: string, now: number): "accepted" | "refused" | undefined {
    return this.#verified.get(digest, now) ? "accepted" : this.#refused.get(digest, now) && "refused";
  }

  /** As `recall`, for a token that was verified. */
  recallToken(digest: string, now: number): VerifiedToken | undefined {
    const known = this.#tokens.get(digest, now);
    if (known === undefined) this.misses += 1;
    else this.hits += 1;
    return known;
  }

  /** Remembers a token that was verified, for `ttlMs` from `now`. */
  rememberToken(digest: string, token: VerifiedToken, now: number, ttlMs: number): void {
    if (ttlMs > 0) this.#tokens.set(digest, token, now + ttlMs);
  }

  /** Remembers for a day that a client has shown the right password of a user. */
  trust(client: string, user: string, now: number): void {
    this.#trusted.set(this.digest("trusted", client, user), true, now + TRUSTED_MS);
  }

  /** Whether a client has shown the right password of a user within a day. It is no proof of anything. */
  isTrusted(client: string, user: string, now: number): boolean {
    return this.#trusted.get(this.digest("trusted", client, user), now) !== undefined;
  }

  /** Remembers that the credentials were right, for `ttlMs` from `now`. */
  rememberVerified(digest: string, now: number, ttlMs: number): void {
    if (ttlMs > 0) this.#verified.set(digest, true, now + ttlMs);
  }

  /** Remembers for a few seconds that the credentials were wrong. */
  rememberRefused(digest: string, now: number): void {
    this.#refused.set(digest, true, now + REFUSED_MS);
  }
}
