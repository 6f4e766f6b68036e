import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

export interface DigestNoncesOptions {
  /** Milliseconds that a nonce is good for; 300,000 unless told otherwise. */
  readonly lifetimeMs?: number;
  /** Nonces in use at once whose counts are kept; 8,192 unless told otherwise, about 2 MB. */
  readonly entries?: number;
}

/** Counts this far below the highest may still come: requests on parallel connections overtake each other. */
const WINDOW = 32;

const CLOCK_BYTES = 6;
const UNIQUE_BYTES = 8;
const MAC_BYTES = 16;

/** What another process needs to go on with the nonces of this one. */
export interface SavedNonces {
  /** In base64. */
  readonly key: string;
  /** Milliseconds between the clock of the nonces and that of the process. */
  readonly clockMs: number;
  readonly forgottenUntil: number;
  /** Nonce, when it was issued, highest count, and which of the counts below it were used. */
  readonly used: readonly (readonly [nonce: string, issuedAt: number, highest: number, used: number])[];
}

interface UsedNonce {
  readonly issuedAt: number;
  highest: number;
  /** Bit n: the count `highest - n` has been used. */
  used: number;
}

/**
 * Issues nonces that carry their time and a keyed hash, and so cost no memory
 * until a user proves to know a password with one. From then on its counts are
 * kept, in a bounded table, so that no answer is good twice (RFC 7616 §5.12).
 */
export class DigestNonces {
  #key = randomBytes(32);
  /** Nonces of a process before this one have its times: its clock goes on in them. */
  #clockMs = 0;
  readonly #lifetimeMs: number;
  readonly #maxEntries: number;
  // A Map keeps the order of insertion: the first is the one used first.
  readonly #used = new Map<string, UsedNonce>();
  /** Unused nonces from this time or before are stale: they may be ones that the table had to forget. */
  #forgottenUntil = -1;

  constructor(options: DigestNoncesOptions = {}) {
    this.#lifetimeMs = options.lifetimeMs ?? 300_000;
    this.#maxEntries = options.entries ?? 8192;
  }

  /** The key, and the counts that were used. */
  save(): SavedNonces {
    const used = [...this.#used].map(([nonce, entry]) => [nonce, entry.issuedAt, entry.highest, entry.used] as const);
    const key = this.#key.toString("base64");
    return { key, clockMs: this.#clockMs, forgottenUntil: this.#forgottenUntil, used };
  }

  /** Goes on with the nonces of another process. With the same key again it adds the counts that were used since. */
  restore({ key, clockMs, forgottenUntil, used }: SavedNonces): void {
    const before = this.#key.toString("base64") === key;
    if (!before) this.#used.clear();
    this.#key = Buffer.from(key, "base64");
    if (!before) this.#clockMs = clockMs;
    this.#forgottenUntil = Math.max(before ? this.#forgottenUntil : -1, forgottenUntil);
    for (const [nonce, issuedAt, highest, bits] of used) {
      const entry = this.#used.get(nonce);
      if (entry === undefined) this.#used.set(nonce, { issuedAt, highest, used: bits });
      else addCounts(entry, { highest, used: bits });
    }
    while (this.#used.size > this.#maxEntries) this.#forgetOldest();
  }

  /** A new nonce. `now` is a monotonic clock in milliseconds. */
  issue(now: number): string {
    const body = Buffer.alloc(CLOCK_BYTES + UNIQUE_BYTES);
    body.writeUIntBE(Math.max(0, Math.floor(now + this.#clockMs)), 0, CLOCK_BYTES);
    randomBytes(UNIQUE_BYTES).copy(body, CLOCK_BYTES);
    return Buffer.concat([body, this.#sign(body)]).toString("base64url");
  }

  /**
   * Uses up one count of a nonce; to be asked only after the response has been
   * found right. False means that a new nonce is due: this one is not ours,
   * too old or forgotten, or the count was used before.
   */
  use(nonce: string, count: number, now: number): boolean {
    const issuedAt = this.#readTime(nonce);
    if (issuedAt === undefined || now + this.#clockMs - issuedAt >= this.#lifetimeMs || count < 1) return false;
    const entry = this.#used.get(nonce);
    if (entry) return useCount(entry, count);
    if (issuedAt <= this.#forgottenUntil) return false;
    this.#used.set(nonce, { issuedAt, highest: count, used: 1 });
    if (this.#used.size > this.#maxEntries) this.#forgetOldest();
    return true;
  }

  #forgetOldest(): void {
    const oldest = this.#used.entries().next();
    if (oldest.done) return;
    const [nonce, { issuedAt }] = oldest.value;
    this.#used.delete(nonce);
    this.#forgottenUntil = Math.max(this.#forgottenUntil, issuedAt);
  }

  /** The time in the nonce if it is one of ours in its one spelling. */
  #readTime(nonce: string): number | undefined {
    const bytes = Buffer.from(nonce, "base64url");
    const bodyBytes = CLOCK_BYTES + UNIQUE_BYTES;
    if (bytes.length !== bodyBytes + MAC_BYTES || bytes.toString("base64url") !== nonce) return undefined;
    const body = bytes.subarray(0, bodyBytes);
    if (!timingSafeEqual(this.#sign(body), bytes.subarray(bodyBytes))) return undefined;
    return body.readUIntBE(0, CLOCK_BYTES);
  }

  #sign(body: Uint8Array): Buffer {
    return createHmac("sha256", this.#key).update(body).digest().subarray(0, MAC_BYTES);
  }
}

/** Adds counts that were used elsewhere. */
function addCounts(entry: UsedNonce, other: Pick<UsedNonce, "highest" | "used">): void {
  const [lower, higher] = entry.highest < other.highest ? [entry, other] : [other, entry];
  const distance = higher.highest - lower.highest;
  entry.used = higher.used | (distance >= WINDOW ? 0 : lower.used << distance);
  entry.highest = higher.highest;
}

function useCount(entry: UsedNonce, count: number): boolean {
  const ahead = count - entry.highest;
  if (ahead > 0) {
    // A shift by 32 is a shift by 0 in JavaScript.
    entry.used = ahead >= WINDOW ? 1 : (entry.used << ahead) | 1;
    entry.highest = count;
    return true;
  }
  const bit = 1 << -ahead;
  if (-ahead >= WINDOW || (entry.used & bit) !== 0) return false;
  entry.used |= bit;
  return true;
}
