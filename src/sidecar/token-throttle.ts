/** How many wrong tokens are looked at: some at once, and then one in each interval. */
interface Allowance {
  readonly burst: number;
  readonly intervalMs: number;
}

/** A scraper with an old token asks less often, and is told that the token is wrong. */
const PER_PEER: Allowance = { burst: 10, intervalMs: 5000 };
const IN_ALL: Allowance = { burst: 100, intervalMs: 500 };
/** Peers that are remembered; the one that failed the longest ago makes room. */
const MAX_PEERS = 1024;

/**
 * Slows down who guesses tokens: a peer that was wrong too often is not listened
 * to for a while, whatever it presents. When too many were wrong in all, that goes
 * for every peer that was wrong lately. A peer that never was is never delayed.
 */
export class TokenThrottle {
  readonly #now: () => number;
  /** Milliseconds at which the allowance of each peer is whole again (GCRA), the latest failure last. */
  readonly #peers = new Map<string, number>();
  #all = 0;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  /** Peers that were wrong lately. */
  get size(): number {
    return this.#peers.size;
  }

  /** Milliseconds for which a token of this peer is not looked at; 0 when it is. */
  delay(peer: string): number {
    const whole = this.#peers.get(peer);
    if (whole === undefined) return 0;
    const now = this.#now();
    if (whole <= now) {
      this.#peers.delete(peer);
      return 0;
    }
    return Math.max(0, measureDelay(whole, PER_PEER, now), measureDelay(this.#all, IN_ALL, now));
  }

  /** A peer has presented a wrong token. */
  fail(peer: string): void {
    const now = this.#now();
    const whole = this.#peers.get(peer) ?? now;
    this.#peers.delete(peer);
    const [oldest] = this.#peers.keys();
    if (this.#peers.size >= MAX_PEERS && oldest !== undefined) this.#peers.delete(oldest);
    this.#peers.set(peer, Math.max(whole, now) + PER_PEER.intervalMs);
    this.#all = Math.max(this.#all, now) + IN_ALL.intervalMs;
  }
}

function measureDelay(whole: number, { burst, intervalMs }: Allowance, now: number): number {
  return whole - (burst - 1) * intervalMs - now;
}
