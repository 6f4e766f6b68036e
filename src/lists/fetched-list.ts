import type { FetchOrder, Fetched } from "../net/http/fetch-text.ts";
import type { ListSource } from "./list-source.ts";

type UrlSource = ListSource & { readonly at: { readonly kind: "url" } };

type Validators = Pick<FetchOrder, "etag" | "lastModified">;

export interface FetchedListOptions {
  readonly fetch: (order: FetchOrder) => Promise<Fetched>;
  /** From 0 to 1. */
  readonly random: () => number;
  /** The text in use. */
  readonly read: (key: string) => string | undefined;
  /** Takes a text that was fetched; resolves with whether it is in use. */
  readonly take: (key: string, text: string) => Promise<boolean>;
  /** Is told why there is none, as the rest of a sentence that begins with the list. */
  readonly blame: (key: string, why: string) => void;
  /** The server says that the list is as before. */
  readonly confirm: (key: string) => void;
}

/** Bytes of a list, as of one in a file. */
const MAX_BYTES = 128 * 1024 * 1024;
/** Milliseconds for fetching one. */
const FETCH_MS = 60_000;
/** Milliseconds before another try after a failure: the first time, and at most. */
const RETRY_MS = 2000;
const MAX_RETRY_MS = 300_000;
/** Part of the time between two fetches that is left to chance, so that many proxies do not ask at the same moment. */
const JITTER = 0.2;

/** A list at a URL, which is fetched again in intervals, and sooner after a failure. */
export class FetchedList {
  readonly source: UrlSource;
  readonly #options: FetchedListOptions;
  /** The last text that was taken, and what the server said of it. */
  #last: { readonly text: string; readonly validators: Validators } | undefined;
  /** Failures since the last success. */
  #inARow = 0;
  #timer: Timer | undefined;
  #closed = false;

  constructor(source: UrlSource, options: FetchedListOptions) {
    this.source = source;
    this.#options = options;
  }

  /** Fetches it for the first time. From then on it is asked for again. */
  async start(): Promise<void> {
    const { key, at } = this.source;
    const fetched = await this.#options.fetch({
      url: at.url,
      ...(this.#isLastInUse() && this.#last?.validators),
      accept: "text/plain, */*;q=0.5",
      maxBytes: MAX_BYTES,
      ms: FETCH_MS,
    });
    if (this.#closed) return;
    const isGood = await this.#use(key, fetched);
    if (this.#closed) return;
    this.#inARow = isGood ? 0 : this.#inARow + 1;
    this.#timer = setTimeout(() => void this.start(), this.#chooseWait(at.everyMs));
    this.#timer.unref();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  /** Whether it was a list that can be used. */
  async #use(key: string, fetched: Fetched): Promise<boolean> {
    switch (fetched.kind) {
      case "failed":
        this.#options.blame(key, fetched.why);
        return false;
      case "unchanged":
        // A reload may have refused it while the server was asked.
        if (!this.#isLastInUse()) return false;
        this.#options.confirm(key);
        return true;
      case "content": {
        // What cannot be used is to be sent again.
        this.#last = undefined;
        const text = this.#read(fetched.bytes);
        if (text === undefined || !(await this.#options.take(key, text))) return false;
        const { etag, lastModified } = fetched;
        const validators = { ...(etag !== undefined && { etag }), ...(lastModified !== undefined && { lastModified }) };
        this.#last = { text, validators };
        return true;
      }
      default:
        return fetched satisfies never;
    }
  }

  /** Only then is "as before" an answer: otherwise the server has to send the list. */
  #isLastInUse(): boolean {
    return this.#last !== undefined && this.#options.read(this.source.key) === this.#last.text;
  }

  #read(bytes: Uint8Array): string | undefined {
    const { key, at } = this.source;
    const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    if (at.sha256 !== undefined && at.sha256.toLowerCase() !== hash) {
      this.#options.blame(key, `has another content than "sha256" says: ${hash}`);
      return undefined;
    }
    try {
      return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      this.#options.blame(key, "is not UTF-8");
      return undefined;
    }
  }

  #chooseWait(everyMs: number): number {
    const wanted =
      this.#inARow === 0 ? everyMs : Math.min(everyMs, MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(20, this.#inARow - 1));
    return wanted * (1 - JITTER / 2 + JITTER * this.#options.random());
  }
}
