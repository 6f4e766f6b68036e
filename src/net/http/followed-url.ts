import type { Fetched, FetchOrder } from "./fetch-text.ts";

export interface FollowedUrlOptions {
  readonly fetch: (order: FetchOrder) => Promise<Fetched>;
  /** From 0 to 1. */
  readonly random: () => number;
  /** What to fetch now. */
  readonly order: () => FetchOrder;
  /** Milliseconds between two fetches. */
  readonly everyMs: number;
  /** Whether what came last is in use: only then is "as before" an answer. */
  readonly isInUse: () => boolean;
  /** Takes what came; resolves with whether it is in use. */
  readonly take: (bytes: Uint8Array) => Promise<boolean>;
  /** The server says that it is as before. */
  readonly confirm: () => void;
  /** Is told why nothing came, as the rest of a sentence that begins with the file. */
  readonly blame: (why: string) => void;
}

/** Milliseconds before another try after a failure: the first time, and at most. */
const RETRY_MS = 2000;
const MAX_RETRY_MS = 300_000;
/** Part of the time between two fetches that is left to chance, so that many proxies do not ask at the same moment. */
const JITTER = 0.2;

/** A file at a URL, which is fetched again in intervals, and sooner after a failure. */
export class FollowedUrl {
  readonly #options: FollowedUrlOptions;
  /** What the server said of what came last. */
  #validators: Pick<FetchOrder, "etag" | "lastModified"> = {};
  /** Failures since the last success. */
  #inARow = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(options: FollowedUrlOptions) {
    this.#options = options;
  }

  /** Fetches it now. From then on it is asked for again. */
  async start(): Promise<void> {
    const { fetch, order, everyMs, isInUse, random } = this.#options;
    this.#timer = undefined;
    const fetched = await fetch({ ...order(), ...(isInUse() && this.#validators) });
    if (this.#closed) return;
    this.#inARow = (await this.#use(fetched)) ? 0 : this.#inARow + 1;
    if (this.#closed) return;
    const retryMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(20, this.#inARow - 1));
    const wait = this.#inARow === 0 ? everyMs : Math.min(everyMs, retryMs);
    this.#timer = setTimeout(() => void this.start(), wait * (1 - JITTER / 2 + JITTER * random()));
    this.#timer.unref();
  }

  /** Asks now for what it would ask for later. */
  hurry(): void {
    if (this.#timer === undefined || this.#closed) return;
    clearTimeout(this.#timer);
    void this.start();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Whether what the server has is in use. */
  async #use(fetched: Fetched): Promise<boolean> {
    const { isInUse, take, confirm, blame } = this.#options;
    switch (fetched.kind) {
      case "failed":
        blame(fetched.why);
        return false;
      case "unchanged":
        // It may have been refused while the server was asked.
        if (!isInUse()) return false;
        confirm();
        return true;
      case "content": {
        const { bytes, etag, lastModified } = fetched;
        // What cannot be used is to be sent again.
        this.#validators = {};
        if (!(await take(bytes))) return false;
        this.#validators = { ...(etag !== undefined && { etag }), ...(lastModified !== undefined && { lastModified }) };
        return true;
      }
      default:
        return fetched satisfies never;
    }
  }
}
