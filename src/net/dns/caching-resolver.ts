import type { Ip } from "../../address/ip.ts";
import { AnswerCache } from "./answer-cache.ts";
import { LookupShares, type Turn } from "./lookup-shares.ts";
import type { Found, Walk } from "./name-walk.ts";
import { knowLookups, type Lookup, type Lookups, type NamedHost, NOT_FOUND, type Resolver } from "./resolver.ts";

/** Milliseconds that an answer is cached at least and at most, whatever its TTL says; and a failure. */
const MIN_POSITIVE_MS = 1000;
const MAX_POSITIVE_MS = 30_000;
const NOT_FOUND_MS = 5000;
const TROUBLE_MS = 1000;
/** The same for an answer of one family, when nobody waited for the other family. */
const HALF_MS = 5000;

/** What this machine knows of names without asking a server: its hosts file, and whether it has a search list. */
export interface LocalNames {
  /** The addresses of the hosts file, for both families. */
  find(host: NamedHost): Lookups | undefined;
  /** Whether names are completed by a search list. */
  readonly completes: boolean;
  /** Counts the changes of the files. Call it before the others. */
  look(now: number): number;
}

export interface CachingOptions {
  /** A monotonic clock in milliseconds. */
  readonly now: () => number;
  /** Called when the files changed, so that a name may have other addresses. */
  readonly changed?: () => void;
  /** The key of a client: clients with the same key share one client's limits. Default: the address. */
  readonly nameClient?: (client: Ip) => string;
}

/**
 * Caches answers, looks each name up once at a time, and bounds everything, per
 * client and in all. Most tunnels go to few names, so most cost no question.
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

  /** After a change the cache is void. Lookups under way answer only those who wait for them already. */
  #look(now: number): void {
    const version = this.#local.look(now);
    if (version === this.#version) return;
    this.#version = version;
    this.#cache.clear();
    this.#underWay.clear();
    this.#changed();
  }

  #begin(key: string, host: NamedHost, owner: string): Search | undefined {
    const search: Search = new Search(
      owner,
      this.#shares,
      (take) => this.#walk(host, take),
      (found) => {
        // After a change of the files another search has taken its place.
        if (this.#underWay.get(key) !== search) return;
        this.#underWay.delete(key);
        const keepMs = Math.min(measure(found[4]), measure(found[6]));
        if (found[4] === undefined && found[6] === undefined) return;
        const lookups = knowLookups(found[4]?.lookup ?? GIVEN_UP, found[6]?.lookup ?? GIVEN_UP);
        this.#cache.set(key, lookups, this.#now() + keepMs, owner);
      },
    );
    if (!search.start()) return undefined;
    this.#underWay.set(key, search);
    return search;
  }
}

const GIVEN_UP: Lookup = { ok: false, detail: "dns_timeout", note: "ETIMEOUT" };

const TOO_MANY_LOOKUPS: Lookup = { ok: false, detail: "too_many_lookups", note: "too many names of this client" };
const TOO_MANY = knowLookups(TOO_MANY_LOOKUPS, TOO_MANY_LOOKUPS);

type BeginWalk = (take: (family: 4 | 6, found: Found) => void) => () => void;
type FoundByFamily = Partial<Record<4 | 6, Found>>;

/** The lookup of one name, for all who wait for it. It ends when the last of them leaves. */
class Search implements Turn {
  readonly #begin: BeginWalk;
  #owner: string;
  readonly #shares: LookupShares;
  readonly #conclude: (found: FoundByFamily) => void;
  readonly #found: FoundByFamily = {};
  readonly #four = Promise.withResolvers<Lookup>();
  readonly #six = Promise.withResolvers<Lookup>();
  #cancel: (() => void) | undefined;
  #state: "new" | "waiting" | "begun" | "over" = "new";
  #waiters = 0;

  /** `begin` starts a walk, and returns what gives it up. */
  constructor(owner: string, shares: LookupShares, begin: BeginWalk, conclude: (found: FoundByFamily) => void) {
    this.#owner = owner;
    this.#shares = shares;
    this.#begin = begin;
    this.#conclude = conclude;
  }

  /** Begins, or queues. False when the queue is full. */
  start(): boolean {
    if (this.#shares.take(this.#owner)) {
      this.begin();
      return true;
    }
    this.#state = "waiting";
    return this.#shares.wait(this.#owner, this);
  }

  begin(): void {
    this.#state = "begun";
    this.#cancel = this.#begin((family, found) => this.#take(family, found));
  }

  /** Begins with the slot of another client that wants the same name, when the first client has to wait for its own. */
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
    // A promise that was given out must settle.
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
