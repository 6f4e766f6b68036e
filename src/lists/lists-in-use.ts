import { withinMs } from "../net/conn/time-limit.ts";
import type { FetchOrder, Fetched } from "../net/http/fetch-text.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import { FetchedList } from "./fetched-list.ts";
import type { ListsPlan } from "./list-source.ts";
import { foldStatuses, type ListStatus } from "./list-status.ts";
import { type ListText, PlannedLists, type PlannedListsOptions } from "./planned-lists.ts";

export interface ListsInUseOptions extends PlannedListsOptions {
  readonly fetch: (order: FetchOrder) => Promise<Fetched>;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Removes what is kept of lists that nobody uses any more. `keys`: those of the configuration. */
  readonly tidy: (keys: readonly string[]) => Promise<void>;
  /** Milliseconds that a start or a reload waits for lists that have to be fetched. Default: 5,000. */
  readonly firstFetchMs?: number;
  /** Milliseconds between two times that `tidy` is called. Default: an hour. */
  readonly tidyMs?: number;
}

/** The lists of a new configuration, to be put into use or thrown away. */
export interface PreparedLists {
  /** The rules, where lists have another content than the plan has. */
  readonly policy: Policy | undefined;
  commit(): void;
  abandon(): void;
}

/** Lists at URLs of a configuration, by key. */
interface FetchedLists {
  readonly all: ReadonlyMap<string, FetchedList>;
  /** Those that the configuration before does not have. */
  readonly added: readonly FetchedList[];
  /** Resolve when lists of which nothing is known were asked for. */
  readonly first: readonly Promise<void>[];
}

/** The lists in use. A new one that cannot be used leaves the one before in use, and says so. */
export class ListsInUse {
  readonly #options: ListsInUseOptions;
  #current: PlannedLists | undefined;
  #fetched: ReadonlyMap<string, FetchedList> = new Map();
  readonly #tidying: Timer;

  constructor(options: ListsInUseOptions) {
    this.#options = options;
    const tidy = (): void => void options.tidy(this.#current?.plan.sources.map(({ key }) => key) ?? []);
    this.#tidying = setInterval(tidy, options.tidyMs ?? TIDY_MS);
    this.#tidying.unref();
  }

  /** The text in use. */
  read(key: string): string | undefined {
    return this.#current?.read(key);
  }

  /**
   * Prepares the lists of a configuration. Those to be fetched have five seconds where
   * nothing is known of them, and otherwise come when they come.
   */
  async prepare(plan: ListsPlan | undefined): Promise<PreparedLists> {
    const next = plan && new PlannedLists(plan, this.#options);
    const { all, added, first } = next ? await this.#follow(next) : { all: new Map(), added: [], first: [] };
    await this.#waitFor(first);
    const policy = await next?.compile();
    return {
      policy,
      commit: () => {
        const [before, fetchedBefore] = [this.#current, this.#fetched];
        this.#current = next;
        this.#fetched = all;
        if (next) next.begin(before);
        else before?.end();
        for (const [key, list] of fetchedBefore) {
          const text = before?.read(key);
          if (all.get(key) !== list) list.close();
          // It may have been fetched while the configuration was prepared.
          else if (text !== undefined) void next?.adopt(key, text, before?.readAt(key));
        }
      },
      abandon() {
        next?.end();
        for (const list of added) list.close();
      },
    };
  }

  /** What an operator should know of the lists. */
  get warnings(): readonly string[] {
    return this.#current?.warnings ?? [];
  }

  /** How each list is, the first hundred one by one. The work does not grow with what is in them. */
  get statuses(): readonly ListStatus[] {
    return this.#current === undefined ? [] : foldStatuses(this.#current.statuses());
  }

  /** Uses another text of a list, or tells why there is none. Resolves with whether it is in effect. */
  async replace(key: string, read: ListText): Promise<boolean> {
    return (await this.#current?.take(key, read)) ?? false;
  }

  close(): void {
    clearInterval(this.#tidying);
    for (const list of this.#fetched.values()) list.close();
    this.#current?.end();
  }

  /** Goes on with lists at URLs that can stay as they are, and begins to fetch the others. */
  async #follow(next: PlannedLists): Promise<FetchedLists> {
    const all = new Map<string, FetchedList>();
    const added: FetchedList[] = [];
    const first: Promise<void>[] = [];
    for (const source of next.plan.sources) {
      const { key, at } = source;
      if (at.kind !== "url") continue;
      const known = this.#fetched.get(key);
      const text = this.read(key);
      // The new rules may refuse what those before accepted.
      const isGood = text === undefined || (await next.adopt(key, text, this.#current?.readAt(key)));
      const list =
        known && isGood && known.source.at.everyMs === at.everyMs
          ? known
          : this.#createFetched({ ...source, at }, next);
      all.set(key, list);
      if (list === known) continue;
      added.push(list);
      const started = list.start();
      if (next.read(key) === undefined) first.push(started);
    }
    return { all, added, first };
  }

  #createFetched(source: FetchedList["source"], creator: PlannedLists): FetchedList {
    const { fetch, random } = this.#options;
    // A list may stay when its configuration does not.
    const owner = () => (creator.isPending ? creator : this.#current);
    return new FetchedList(source, {
      fetch,
      random,
      read: (key) => owner()?.read(key),
      take: async (key, text) => (await owner()?.take(key, { ok: true, text })) ?? false,
      blame: (key, why) => owner()?.blame(key, [`The list ${why}.`]),
      confirm: (key) => owner()?.confirm(key),
    });
  }

  async #waitFor(lists: readonly Promise<void>[]): Promise<void> {
    if (lists.length === 0) return;
    await withinMs(Promise.all(lists), this.#options.firstFetchMs ?? FIRST_FETCH_MS);
  }
}

/** Milliseconds that a start or a reload waits for lists that have to be fetched. */
const FIRST_FETCH_MS = 5000;
/** An hour: the clock of a machine that starts may be wrong until then. */
const TIDY_MS = 3_600_000;
