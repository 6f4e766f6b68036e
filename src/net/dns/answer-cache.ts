import type { Lookups } from "./resolver.ts";

interface Answer {
  readonly lookups: Lookups;
  /** Monotonic milliseconds. */
  readonly until: number;
  readonly owner: string;
}

/** Answers in all, and of those the answers that one client asked for. */
const MAX_ANSWERS = 8192;
const MAX_PER_OWNER = 4096;

/** Answers until their time is over. When there are too many, the oldest of a client that has its share goes first, then the oldest of all. */
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
    const own = this.#owned.get(owner);
    if (own !== undefined && own.size >= MAX_PER_OWNER) this.#dropFirst(own);
    else if (this.#answers.size >= MAX_ANSWERS) this.#dropFirst(this.#answers.keys());
    // The last one of the client may just have gone, and its set with it.
    let owned = this.#owned.get(owner);
    if (owned === undefined) this.#owned.set(owner, (owned = new Set()));
    owned.add(key);
    this.#answers.set(key, { lookups, until, owner });
  }

  clear(): void {
    this.#answers.clear();
    this.#owned.clear();
  }

  #dropFirst(keys: Iterable<string>): void {
    const [key = ""] = keys;
    const answer = this.#answers.get(key);
    if (answer !== undefined) this.#drop(key, answer);
  }

  #drop(key: string, { owner }: Answer): void {
    this.#answers.delete(key);
    const owned = this.#owned.get(owner);
    owned?.delete(key);
    if (owned?.size === 0) this.#owned.delete(owner);
  }
}
