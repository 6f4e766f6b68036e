import type { Lookups } from "./resolver.ts";

interface Answer {
  readonly lookups: Lookups;
  /** Monotonic milliseconds. */
  readonly until: number;
  readonly owner: string;
}

/** Answers remembered in all, and of those that one client asked for. */
const MAX_ANSWERS = 8192;
const MAX_PER_OWNER = 4096;

/** Remembers answers for a while. When there are too many, the oldest go: first those of the client that asks for most. */
export class AnswerCache {
  readonly #answers = new Map<string, Answer>();
  readonly #owned = new Map<string, Set<string>>();

  get(key: string, now: number): Lookups | undefined {
    const answer = this.#answers.get(key);
    if (answer === undefined) return undefined;
    if (answer.until > now) return answer.lookups;
    this.#drop(key, answer);
    return undefined;
  }

  /** `owner` is the client for whom it was asked. */
  set(key: string, lookups: Lookups, until: number, owner: string): void {
    const before = this.#answers.get(key);
    if (before !== undefined) this.#drop(key, before);
    let owned = this.#owned.get(owner);
    if (owned !== undefined && owned.size >= MAX_PER_OWNER) this.#dropFirst(owned);
    else if (this.#answers.size >= MAX_ANSWERS) this.#dropFirst(this.#answers.keys());
    owned = this.#owned.get(owner);
    if (owned === undefined) {
      owned = new Set();
      this.#owned.set(owner, owned);
    }
    owned.add(key);
    this.#answers.set(key, { lookups, until, owner });
  }

  clear(): void {
    this.#answers.clear();
    this.#owned.clear();
  }

  #dropFirst(keys: Iterable<string>): void {
    for (const key of keys) {
      const answer = this.#answers.get(key);
      if (answer !== undefined) this.#drop(key, answer);
      return;
    }
  }

  #drop(key: string, { owner }: Answer): void {
    this.#answers.delete(key);
    const owned = this.#owned.get(owner);
    owned?.delete(key);
    if (owned?.size === 0) this.#owned.delete(owner);
  }
}
