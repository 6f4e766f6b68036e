import type { Answer } from "./session.ts";

export interface Asked<T> {
  /** The newest answer that came. */
  readonly value: T | undefined;
  /** Why the last one did not come. */
  readonly problem: string | undefined;
}

export interface FollowOptions<T> {
  readonly ask: (signal: AbortSignal) => Promise<Answer<T>>;
  /** Milliseconds between an answer and the next question. */
  readonly everyMs: number;
  /** Whether nobody looks: nothing is asked then. */
  readonly isHidden: () => boolean;
  /** Nobody follows it any more. */
  readonly forget: () => void;
}

/** An answer of the sidecar that parts of the page share. It is asked for again and again while one of them shows it, one question at a time. */
export class FollowedAnswer<T> {
  state: Asked<T> = { value: undefined, problem: undefined };
  readonly #options: FollowOptions<T>;
  readonly #followers = new Set<() => void>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #asking: AbortController | undefined;

  constructor(options: FollowOptions<T>) {
    this.#options = options;
  }

  get isFollowed(): boolean {
    return this.#followers.size > 0;
  }

  /** Calls `changed` after each answer, until the function that it gives is called. */
  follow(changed: () => void): () => void {
    this.#followers.add(changed);
    if (this.#followers.size === 1) this.look();
    return () => {
      this.#followers.delete(changed);
      if (this.isFollowed) return;
      clearTimeout(this.#timer);
      this.#asking?.abort();
      this.#asking = undefined;
      this.#options.forget();
    };
  }

  /** Asks now, unless that is under way. */
  look(): void {
    if (this.#asking === undefined && this.isFollowed) void this.#ask();
  }

  async #ask(): Promise<void> {
    const { ask, everyMs, isHidden } = this.#options;
    clearTimeout(this.#timer);
    if (!isHidden()) {
      const asking = new AbortController();
      this.#asking = asking;
      const answer = await ask(asking.signal);
      if (asking.signal.aborted) return;
      this.#asking = undefined;
      this.state = answer.ok
        ? { value: answer.value, problem: undefined }
        : { value: this.state.value, problem: answer.message };
      for (const changed of this.#followers) changed();
    }
    this.#timer = setTimeout(() => this.look(), everyMs);
  }
}
