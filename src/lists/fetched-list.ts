import { FollowedUrl, type FollowedUrlOptions } from "../net/http/followed-url.ts";
import type { ListSource } from "./list-source.ts";

type UrlSource = ListSource & { readonly at: { readonly kind: "url" } };

export interface FetchedListOptions extends Pick<FollowedUrlOptions, "fetch" | "random"> {
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

/** A list at a URL. */
export class FetchedList {
  readonly source: UrlSource;
  readonly #options: FetchedListOptions;
  readonly #url: FollowedUrl;
  /** The last text that was taken. */
  #last: string | undefined;

  constructor(source: UrlSource, options: FetchedListOptions) {
    this.source = source;
    this.#options = options;
    const { key, at } = source;
    this.#url = new FollowedUrl({
      ...options,
      order: () => ({ url: at.url, accept: "text/plain, */*;q=0.5", maxBytes: MAX_BYTES, ms: FETCH_MS }),
      everyMs: at.everyMs,
      isInUse: () => this.#last !== undefined && options.read(key) === this.#last,
      take: (bytes) => this.#take(bytes),
      confirm: () => options.confirm(key),
      blame: (why) => options.blame(key, why),
    });
  }

  /** Fetches it for the first time. From then on it is asked for again. */
  start(): Promise<void> {
    return this.#url.start();
  }

  close(): void {
    this.#url.close();
  }

  async #take(bytes: Uint8Array): Promise<boolean> {
    this.#last = undefined;
    const text = this.#read(bytes);
    if (text === undefined || !(await this.#options.take(this.source.key, text))) return false;
    this.#last = text;
    return true;
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
}
