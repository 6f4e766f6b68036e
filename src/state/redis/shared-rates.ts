import type { Entry } from "./exchange.ts";
import type { SharedKind } from "./fleet.ts";
import { KeyTurns } from "./key-turns.ts";

/** A table of token buckets, by key. */
export interface RateTable {
  /** What was taken from a bucket since it was made, what is in it, and its rate and size in the whole fleet. */
  read(
    key: string,
  ):
    { readonly taken: number; readonly tokens: number; readonly perSecond: number; readonly burst: number } | undefined;
  /** A bucket has so many tokens now, and fills with 1 / `users` of its rate up to 1 / `users` of its size. */
  fill(key: string, tokens: number, users: number): void;
  /** A bucket that is made from now on is an even share: 1 / `proxies`. */
  share(proxies: number): void;
  /** Nothing is shared any more. */
  stop(): void;
}

/** Milliseconds after which a bucket that nobody takes from is not exchanged any more. */
const IDLE_MS = 2000;

interface Sent {
  /** What was taken when it was last told. */
  taken: number;
  /** When something was last taken. */
  at: number;
  /** Tokens at which the next exchange is urgent: half of those at the last answer. */
  urgentAt: number;
}

/**
 * Rates. The bucket of a key is in Redis, and each proxy that uses it has an even
 * part of what is in it. What it has taken is told, and the others find it gone.
 */
export class SharedRates implements SharedKind {
  readonly #table: RateTable;
  readonly #name: string;
  readonly #changed: (urgent: boolean) => void;
  readonly #now: () => number;
  readonly #turns = new KeyTurns();
  readonly #sent = new Map<string, Sent>();
  #proxies = 1;
  #isBehind = false;

  constructor(name: string, table: RateTable, changed: (urgent: boolean) => void, now = () => performance.now()) {
    this.#name = name;
    this.#table = table;
    this.#changed = changed;
    this.#now = now;
  }

  /** The table is asked for a token. It tells that before it takes one: from then on what is taken is told. */
  changed(key: string): void {
    if (!this.#turns.change(key)) return;
    const now = this.#now();
    let sent = this.#sent.get(key);
    const bucket = this.#table.read(key);
    // What was taken earlier was told already, or before the bucket was shared.
    if (sent === undefined) this.#sent.set(key, (sent = { taken: bucket?.taken ?? 0, at: now, urgentAt: Infinity }));
    else sent.at = now;
    const isUrgent = (bucket?.tokens ?? 0) < sent.urgentAt;
    if (isUrgent) sent.urgentAt = -Infinity;
    this.#changed(isUrgent);
  }

  get isBehind(): boolean {
    return this.#isBehind;
  }

  get isActive(): boolean {
    return this.#turns.size > 0;
  }

  collect(most: number): Entry[] {
    const entries: Entry[] = [];
    const keys = this.#turns.take(most);
    this.#isBehind = this.#turns.changed > 0;
    for (const key of keys) {
      const bucket = this.#table.read(key);
      const sent = this.#sent.get(key);
      if (bucket === undefined || sent === undefined) {
        this.#forget(key);
        continue;
      }
      // A bucket that was forgotten and made again begins at 0.
      const told = sent.taken > bucket.taken ? 0 : sent.taken;
      const { taken } = bucket;
      sent.taken = taken;
      entries.push({
        kind: "spend",
        key: `${this.#name}:${key}`,
        values: [String(taken - told), String(bucket.perSecond), String(bucket.burst)],
        settle: (tokens, users) => this.#settle(key, taken, Number(tokens), Number(users)),
      });
    }
    return entries;
  }

  #settle(key: string, told: number, tokens: number, users: number): void {
    const bucket = this.#table.read(key);
    const sent = this.#sent.get(key);
    if (bucket === undefined || sent === undefined) return this.#forget(key);
    const since = bucket.taken >= told ? bucket.taken - told : bucket.taken;
    // Each may have a whole token when there is one, and has to wait as long as everybody when there is none.
    const part = 1 + (tokens - 1) / users - since;
    this.#table.fill(key, part, users);
    // With less there is nothing to win: it comes as the rate brings it.
    sent.urgentAt = part >= 2 ? part / 2 : -Infinity;
    if (since === 0 && this.#now() - sent.at >= IDLE_MS) this.#forget(key);
  }

  #forget(key: string): void {
    this.#turns.forget(key);
    this.#sent.delete(key);
  }

  retell(): void {
    // What was taken was told, and is none of the new bucket's business.
  }

  use(proxies: number): void {
    this.#proxies = proxies;
    this.#table.share(proxies);
  }

  isolate(): void {
    for (const key of this.#turns) {
      const bucket = this.#table.read(key);
      if (bucket !== undefined) this.#table.fill(key, bucket.tokens, this.#proxies);
    }
  }
}
