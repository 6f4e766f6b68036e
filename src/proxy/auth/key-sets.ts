import { type Fetched, type FetchOrder, fetchText } from "../../net/http/fetch-text.ts";
import type { HookFault } from "../hook/call-hook.ts";
import { readKeySet } from "./read-key-set.ts";
import type { KeySource, TokenStore } from "./token-store.ts";
import type { PublicKeys } from "./verify-token.ts";

/** Bytes of a key set. */
const MAX_BYTES = 512 * 1024;
/** Sets at once: a reload may change where the keys are, and change it back. */
const MAX_SETS = 8;
/** Milliseconds between two fetches: while there are keys, and the first ones while there are none. */
const COOL_DOWN_MS = 30_000;
const FIRST_RETRY_MS = 1000;

export interface KeySetsOptions {
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  readonly fetch?: (order: FetchOrder) => Promise<Fetched>;
}

/** The keys of a gate, whatever the configuration is now: a reload keeps those that were fetched. */
export class KeySets {
  readonly #options: Required<KeySetsOptions>;
  readonly #sets = new Map<string, KeySet>();
  #faults: HookFault[] = [];

  constructor({ now, fetch = fetchText }: KeySetsOptions) {
    this.#options = { now, fetch };
  }

  find({ keys: source, keysId: key }: Pick<TokenStore, "keys" | "keysId">): KeySet {
    let found = this.#sets.get(key);
    if (found === undefined) {
      found = new KeySet(source, { ...this.#options, blame: (fault) => this.#faults.push(fault) });
      this.#sets.set(key, found);
      const oldest = this.#sets.keys().next();
      if (this.#sets.size > MAX_SETS && !oldest.done) this.#sets.delete(oldest.value);
    }
    return found;
  }

  /** What failed since the last time, for the operator. */
  takeFaults(): readonly HookFault[] {
    if (this.#faults.length === 0) return NO_FAULTS;
    const faults = this.#faults;
    this.#faults = [];
    return faults;
  }
}

const NO_FAULTS: readonly HookFault[] = [];

interface KeySetOptions extends Required<KeySetsOptions> {
  readonly blame: (fault: HookFault) => void;
}

/** One key set. Keys that were fetched stay until others are there, however long their server is away. */
export class KeySet {
  readonly #source: KeySource;
  readonly #options: KeySetOptions;
  #keys: PublicKeys | undefined;
  #text: string | undefined;
  #etag: string | undefined;
  /** When it was asked for last, and when it was last known to be as it is. */
  #askedAt = -Infinity;
  #knownAt = -Infinity;
  #failures = 0;
  #underWay: Promise<void> | undefined;
  /** Changes with the keys: what was verified with others counts no more. */
  generation = 0;
  /** Why there are no others. */
  fault: HookFault | undefined;

  constructor(source: KeySource, options: KeySetOptions) {
    this.#source = source;
    this.#options = options;
  }

  get keys(): PublicKeys | undefined {
    return this.#keys;
  }

  /** Fetches keys that are old, without a wait for them. */
  refresh(): void {
    if (this.#source.kind !== "url" || this.#keys === undefined) return;
    if (this.#options.now() - this.#knownAt >= this.#source.refreshMs) void this.renew();
  }

  /** Asks for the keys, unless that was done a short while ago. Resolves when no answer is awaited any more. */
  async renew(): Promise<void> {
    if (this.#underWay === undefined && !this.#mayAsk()) return;
    this.#underWay ??= this.#ask().finally(() => (this.#underWay = undefined));
    await this.#underWay;
  }

  #mayAsk(): boolean {
    if (this.#source.kind === "file") return this.#keys === undefined && this.#askedAt === -Infinity;
    const pauseMs =
      this.#keys === undefined
        ? Math.min(COOL_DOWN_MS, FIRST_RETRY_MS * 2 ** Math.min(10, this.#failures))
        : COOL_DOWN_MS;
    return this.#options.now() - this.#askedAt >= pauseMs;
  }

  async #ask(): Promise<void> {
    this.#askedAt = this.#options.now();
    const got = await this.#get();
    if (got.kind === "unchanged") return this.#confirm();
    if (got.kind === "failed") return this.#blame(got.why);
    if (got.text === this.#text) return this.#confirm();
    const read = readKeySet(got.text);
    if (!read.ok) return this.#blame(read.why);
    // Loaded when the first token comes: most proxies see none.
    const { preparePublicKeys } = await import("./verify-token.ts");
    const keys = preparePublicKeys(read.keys);
    if (keys === undefined) return this.#blame("is no key set");
    this.#keys = keys;
    this.#text = got.text;
    this.#etag = got.etag;
    this.generation += 1;
    this.#confirm();
  }

  async #get(): Promise<Exclude<Fetched, { kind: "content" }> | { kind: "text"; text: string; etag?: string }> {
    if (this.#source.kind === "file") return { kind: "text", text: this.#source.text };
    const { url, ca, timeoutMs } = this.#source;
    const fetched = await this.#options.fetch({
      url,
      ...(ca && { ca }),
      ...(this.#etag !== undefined && { etag: this.#etag }),
      accept: "application/jwk-set+json, application/json",
      maxBytes: MAX_BYTES,
      maxRedirects: 0,
      ms: timeoutMs,
    });
    if (fetched.kind !== "content") return fetched;
    const { bytes, etag } = fetched;
    return { kind: "text", text: new TextDecoder().decode(bytes), ...(etag !== undefined && { etag }) };
  }

  #confirm(): void {
    this.#knownAt = this.#options.now();
    this.#failures = 0;
    this.fault = undefined;
  }

  #blame(why: string): void {
    this.#failures += 1;
    const result = this.#keys === undefined ? undefined : "so the keys that were fetched before stay in use";
    this.fault = { what: "key server", why, ...(result !== undefined && { result }) };
    this.#options.blame(this.fault);
  }
}
