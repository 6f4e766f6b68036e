import type { Tell } from "../operator-message.ts";
import { isDeepStrictEqual } from "node:util";
import type { FetchOrder } from "../net/http/fetch-text.ts";
import { FollowedUrl, type FollowedUrlOptions } from "../net/http/followed-url.ts";
import type { PacQuestion } from "../protocol/pac/pac-url.ts";
import type { KnownNames, PacFile, PacStep } from "../proxy/pac/pac-file.ts";
import type { PacLoaded } from "./pac-sandbox.ts";

/** Where the PAC file of an upstream is, as compiled from the configuration. */
export interface PacSource {
  /** Of the upstream. */
  readonly name: string;
  readonly at:
    /** `text` is what was read, and is checked. */
    | { readonly kind: "file"; readonly path: string; readonly text: string }
    | { readonly kind: "url"; readonly url: string; readonly ca?: readonly string[]; readonly refreshMs: number };
}

export interface FollowOptions extends Pick<FollowedUrlOptions, "fetch" | "random"> {
  readonly tell: Tell;
  /** Evaluates the file. It is closed with this object. */
  readonly thread: PacThreadLike;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** What is needed of the thread that evaluates a file. */
export interface PacThreadLike {
  load(source: string): Promise<PacLoaded>;
  find(question: PacQuestion, names: KnownNames): Promise<PacStep>;
  close(): void;
}

/** What operators want to know of a PAC file. */
export interface PacStatus {
  readonly name: string;
  /** Where the file is: a path, or a URL without what may be a secret in it. */
  readonly from: string;
  /** Milliseconds since the epoch at which the newest file was read, or found to be unchanged; undefined before. */
  readonly readAt: number | undefined;
  /** When the file in use was loaded, milliseconds since the epoch; undefined when there is none. */
  readonly loadedAt: number | undefined;
  /** What is wrong with the last one, as the rest of a sentence that begins with the file; undefined when nothing is. */
  readonly fault: string | undefined;
  /** How often a file could not be fetched or used; and when and why last, which outlives the end of the fault. */
  readonly failures: number;
  readonly lastFailure: { readonly at: number; readonly why: string } | undefined;
}

/** Bytes of a PAC file. Chromium takes 1 MiB. */
const MAX_PAC_BYTES = 4 * 1024 * 1024;
/** Milliseconds for fetching one. */
const FETCH_MS = 20_000;
/**
 * The PAC file of one upstream in use. A file that cannot be fetched or used
 * leaves the one before in use, and says so.
 */
export class FollowedPac implements PacFile {
  source: PacSource;
  readonly #options: FollowOptions;
  #version = 0;
  #readAt: number | undefined;
  #loadedAt: number | undefined;
  #lastFailure: PacStatus["lastFailure"];
  #fault: string | undefined;
  #failures = 0;
  #text: string | undefined;
  #url: FollowedUrl | undefined;
  #closed = false;

  constructor(source: PacSource, options: FollowOptions) {
    this.source = source;
    this.#options = options;
  }

  get version(): number {
    return this.#version;
  }

  get missing(): string | undefined {
    return this.#version > 0 ? undefined : (this.#fault ?? "is still being fetched");
  }

  get status(): PacStatus {
    const { name, at } = this.source;
    return {
      name,
      from: at.kind === "file" ? at.path : hideSecrets(at.url),
      readAt: this.#readAt,
      loadedAt: this.#loadedAt,
      fault: this.#fault,
      failures: this.#failures,
      lastFailure: this.#lastFailure,
    };
  }

  find(question: PacQuestion, names: KnownNames): Promise<PacStep> {
    return this.#options.thread.find(question, names);
  }

  /** Loads the file for the first time. From then on a URL is asked again. */
  async start(): Promise<void> {
    const { at } = this.source;
    if (at.kind === "file") {
      await this.replace(at.text);
      return;
    }
    this.#url = new FollowedUrl({
      ...this.#options,
      order: () => this.#order(),
      everyMs: at.refreshMs,
      isInUse: () => true,
      take: (bytes) => this.replace(decodePac(bytes)),
      confirm: () => this.#recover(),
      blame: (why) => this.blame(why),
    });
    await this.#url.start();
  }

  /** Uses another text, if it can be used. */
  async replace(text: string): Promise<boolean> {
    if (text === this.#text) {
      this.#recover();
      return true;
    }
    const loaded = await this.#options.thread.load(text);
    if (this.#closed) return false;
    if (!loaded.ok) {
      this.blame(loaded.why);
      return false;
    }
    const isFirst = this.#version === 0;
    this.#text = text;
    this.#version += 1;
    this.#loadedAt = this.#options.now();
    this.#recover();
    if (!isFirst) this.#options.tell(`Read the PAC file of upstream ${this.source.name} again.`, "info");
    return true;
  }

  /** Trusts other authorities from the next fetch on. When the last one failed, that is now: it may have been because of them. */
  renewAuthorities(ca: readonly string[] | undefined): void {
    const { source } = this;
    if (source.at.kind !== "url" || ca === undefined || isDeepStrictEqual(ca, source.at.ca)) return;
    this.source = { ...source, at: { ...source.at, ca } };
    if (this.#fault !== undefined) this.#url?.hurry();
  }

  /** Notes that the newest file cannot be used. `why` continues a sentence that begins with the file. */
  blame(why: string): void {
    this.#failures += 1;
    this.#lastFailure = { at: this.#options.now(), why };
    const isNew = this.#fault !== why;
    this.#fault = why;
    if (!isNew) return;
    const rest =
      this.#version > 0
        ? "The one before stays in use."
        : "Requests through this upstream are refused until there is one.";
    this.#options.tell(`The PAC file of upstream ${this.source.name} ${why}. ${rest}`, "warn");
  }

  close(): void {
    this.#closed = true;
    this.#url?.close();
    this.#options.thread.close();
  }

  #recover(): void {
    this.#readAt = this.#options.now();
    if (this.#fault !== undefined && this.#failures > 0 && this.#version > 0)
      this.#options.tell(`The PAC file of upstream ${this.source.name} can be used again.`, "info");
    this.#fault = undefined;
  }

  #order(): FetchOrder {
    const { at } = this.source;
    if (at.kind === "file") throw new Error("A file is not fetched");
    return { url: at.url, ...(at.ca !== undefined && { ca: at.ca }), maxBytes: MAX_PAC_BYTES, ms: FETCH_MS };
  }
}

/** A URL without a user, and without a query, in which tokens may be. */
function hideSecrets(url: string): string {
  const { origin, pathname, search } = new URL(url);
  return `${origin}${pathname}${search === "" ? "" : "?…"}`;
}

/** The text of a PAC file: UTF-8, or else Latin-1, as old ones are. */
export function decodePac(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}
