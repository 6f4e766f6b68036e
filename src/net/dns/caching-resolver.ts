import type { Ip } from "../../address/ip.ts";
import { AnswerCache } from "./answer-cache.ts";
import { LookupShares, type Turn } from "./lookup-shares.ts";
import type { Found, Walk } from "./name-walk.ts";
import { knowLookups, type Lookup, type Lookups, type NamedHost, NOT_FOUND, type Resolver } from "./resolver.ts";

/** Milliseconds that an answer is remembered at least and at most, whatever its TTL says, and that a failure is. */
const MIN_POSITIVE_MS = 1000;
const MAX_POSITIVE_MS = 30_000;
const NOT_FOUND_MS = 5000;
const TROUBLE_MS = 1000;
/** And half an answer, whose other half nobody waited for. */
const HALF_MS = 5000;

/** What this machine knows of names without asking: its hosts file, and whether it completes names. */
export interface LocalNames {
  /** The addresses of the hosts file, for both families. */
  find(host: NamedHost): Lookups | undefined;
  /** Whether names are completed by a search list. */
  readonly completes: boolean;
  /** Counts changes of what names are looked up with. To be asked first. */
  look(now: number): number;
}

export interface CachingOptions {
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number;
  /** Called when names may lead elsewhere than before. */
  readonly changed?: () => void;
  /** Clients under the same key share what one of them may have; their addresses are the keys when absent. */
  readonly nameClient?: (client: Ip) => string;
}

/**
 * Remembers answers for a while, looks the same name up once at a time, and
 * bounds everything, for each client and in all. Most tunnels go to few names,
 * so most cost no question.
 */
export class CachingResolver implements Resolver {
  readonly #walk: Walk;
  readonly #local: LocalNames;
  readonly #now: () => number;
  readonly #changed: () => void;
  readonly #nameClient: (client: Ip) => string;
  readonly #cache = new AnswerCache();
  readonly #underWay = new Map<string, Search>();
  readonly #shares = new LookupShares();
  #version = 0;

  constructor(walk: Walk, local: LocalNames, options: CachingOptions) {
    this.#walk = walk;
    this.#local = local;
    this.#now = options.now;
    this.#changed = options.changed ?? (() => {});
    this.#nameClient = options.nameClient ?? (({ text }) => text);
  }

  find(host: NamedHost, client?: Ip): Lookups {
    const now = this.#now();
    this.#look(now);
    const local = this.#local.find(host);
    if (local !== undefined) return local;
    const key = host.absolute === true ? `${host.text}.` : host.text;
    const known = this.#cache.get(key, now);
    if (known !== undefined) return known;
    const owner = client === undefined ? "" : this.#nameClient(client);
    let search = this.#underWay.get(key);
    if (search === undefined) {
      search = this.#begin(key, host, owner);
      if (search === undefined) return TOO_MANY;
    } else search.hurry(owner);
    return search.join();
  }

  mayComplete(host: NamedHost): boolean {
    this.#look(this.#now());
    const local = this.#local.find(host)?.[4];
    if (local !== undefined) return !(local instanceof Promise) && local.ok && local.name !== host.text;
    return this.#local.completes && host.absolute !== true;
  }

  /** What was asked before a change holds no longer. Those who wait for it get it, and nobody else. */
  #look(now: number): void {
    const version = this.#local.look(now);
    if (version === this.#version) return;
    this.#version = version;
    this.#cache.clear();
    this.#underWay.clear();
    this.#changed();
  }

  #begin(key: string, host: NamedHost, owner: string): Search | undefined {
    const search: Search = new Search(host, owner, this.#walk, this.#shares, (found) => {
      // Another one has taken its place, if what it was asked with has changed.
      if (this.#underWay.get(key) !== search) return;
      this.#underWay.delete(key);
      const keepMs = Math.min(measure(found[4]), measure(found[6]));
      if (found[4] === undefined && found[6] === undefined) return;
      const lookups = knowLookups(found[4]?.lookup ?? GIVEN_UP, found[6]?.lookup ?? GIVEN_UP);
      this.#cache.set(key, lookups, this.#now() + keepMs, owner);
    });
    if (!search.enter()) return undefined;
    this.#underWay.set(key, search);
    return search;
  }
}

const GIVEN_UP: Lookup = { ok: false, detail: "dns_timeout", note: "ETIMEOUT" };

const TOO_MANY_LOOKUPS: Lookup = { ok: false, detail: "too_many_lookups", note: "too many names of this client" };
const TOO_MANY = knowLookups(TOO_MANY_LOOKUPS, TOO_MANY_LOOKUPS);

type FoundByFamily = Partial<Record<4 | 6, Found>>;

/** One name being looked up, for all who wait for it; it ends with the last of them. */
class Search implements Turn {
  readonly #host: NamedHost;
  #owner: string;
  readonly #walk: Walk;
  readonly #shares: LookupShares;
  readonly #conclude: (found: FoundByFamily) => void;
  readonly #found: FoundByFamily = {};
  readonly #four = Promise.withResolvers<Lookup>();
  readonly #six = Promise.withResolvers<Lookup>();
  #cancel: (() => void) | undefined;
  #state: "new" | "waiting" | "begun" | "over" = "new";
  #waiters = 0;

  constructor(
    host: NamedHost,
    owner: string,
    walk: Walk,
    shares: LookupShares,
    conclude: (found: FoundByFamily) => void,
  ) {
    this.#host = host;
    this.#owner = owner;
    this.#walk = walk;
    this.#shares = shares;
    this.#conclude = conclude;
  }

  /** Begins, or waits for its turn. False when it can do neither. */
  enter(): boolean {
    if (this.#shares.take(this.#owner)) {
      this.begin();
      return true;
    }
    this.#state = "waiting";
    return this.#shares.wait(this.#owner, this);
  }

  begin(): void {
    this.#state = "begun";
    this.#cancel = this.#walk(this.#host, (family, found) => this.#take(family, found));
  }

  /** Another client wants the same, and need not wait for the turn of the first one. */
  hurry(client: string): void {
    if (this.#state !== "waiting" || client === this.#owner || !this.#shares.take(client)) return;
    this.#shares.forget(this.#owner, this);
    this.#owner = client;
    this.begin();
  }

  join(): Lookups {
    this.#waiters += 1;
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      this.#waiters -= 1;
      if (this.#waiters === 0) this.#end();
    };
    return {
      4: this.#found[4]?.lookup ?? this.#four.promise,
      6: this.#found[6]?.lookup ?? this.#six.promise,
      release,
    };
  }

  #take(family: 4 | 6, found: Found): void {
    this.#found[family] = found;
    (family === 4 ? this.#four : this.#six).resolve(found.lookup);
    if (this.#found[4] !== undefined && this.#found[6] !== undefined) this.#end();
  }

  #end(): void {
    if (this.#state === "over") return;
    const before = this.#state;
    this.#state = "over";
    this.#cancel?.();
    // Whoever still holds a promise of it may wait for it.
    this.#four.resolve(GIVEN_UP);
    this.#six.resolve(GIVEN_UP);
    this.#conclude(this.#found);
    if (before === "waiting") this.#shares.forget(this.#owner, this);
    else this.#shares.give(this.#owner);
  }
}

/** Milliseconds that an answer may be remembered. */
function measure(found: Found | undefined): number {
  if (found === undefined) return HALF_MS;
  const { lookup, ttl } = found;
  if (lookup.ok) return Math.min(Math.max(ttl * 1000, MIN_POSITIVE_MS), MAX_POSITIVE_MS);
  return lookup.note === NOT_FOUND ? NOT_FOUND_MS : TROUBLE_MS;
}
