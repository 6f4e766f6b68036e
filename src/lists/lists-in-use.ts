import type { FetchOrder, Fetched } from "../net/http/fetch-text.ts";
import type { Tell } from "../operator-message.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import { runInTurns } from "../steps.ts";
import { FetchedList } from "./fetched-list.ts";
import type { ListSource, ListsPlan } from "./list-source.ts";

export interface ListsInUseOptions {
  readonly tell: Tell;
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
  /** Uses other rules for new connections and requests. */
  readonly use: (policy: Policy) => void;
  readonly fetch: (order: FetchOrder) => Promise<Fetched>;
  /** From 0 to 1. */
  readonly random: () => number;
  /** Keeps the text of a list for the next start. */
  readonly keep: (key: string, text: string) => Promise<void>;
  /** Milliseconds that a start or a reload waits for lists that have to be fetched. Default: 5,000. */
  readonly firstFetchMs?: number;
}

/** A text that was read, or why there is none. */
type ListText = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string };

/** The lists of a new configuration, to be put into use or thrown away. */
export interface PreparedLists {
  /** The rules, where lists have another content than the plan has. */
  readonly policy: Policy | undefined;
  commit(): void;
  abandon(): void;
}

/** The lists in use. A new one that cannot be used leaves the one before in use, and says so. */
export class ListsInUse {
  readonly #options: ListsInUseOptions;
  #plan: ListsPlan | undefined;
  #texts = new Map<string, string>();
  #fetched: ReadonlyMap<string, FetchedList> = new Map();
  /** What was told to be wrong with a list, by key. */
  readonly #faults = new Map<string, string>();
  /** Lists whose new texts are in no policy yet. */
  #changed = new Set<ListSource>();
  #compiling: Promise<void> | undefined;
  /** The texts of a configuration that is about to come into effect. */
  #prepared: ReadonlyMap<string, string> | undefined;

  constructor(options: ListsInUseOptions) {
    this.#options = options;
  }

  /** The text in use. */
  read(key: string): string | undefined {
    return this.#texts.get(key);
  }

  /**
   * Prepares the lists of a configuration. Those to be fetched have five seconds where
   * nothing is known of them, and otherwise come when they come.
   */
  async prepare(plan: ListsPlan | undefined): Promise<PreparedLists> {
    const texts = new Map(plan?.texts);
    this.#prepared = texts;
    const fetched = new Map<string, FetchedList>();
    const added: FetchedList[] = [];
    const first: Promise<void>[] = [];
    let isOther = false;
    let isInUse = false;
    for (const source of plan?.sources ?? []) {
      const { key, at } = source;
      if (at.kind !== "url") continue;
      const known = this.#fetched.get(key);
      const isSame = known?.source.at.everyMs === at.everyMs;
      const text = texts.get(key) ?? this.#texts.get(key);
      isOther ||= text !== texts.get(key);
      if (text !== undefined) texts.set(key, text);
      const list =
        isSame && known
          ? known
          : this.#createFetched({ ...source, at }, (fresh) => {
              if (isInUse || plan === undefined) return undefined;
              return this.#check(plan, source, fresh).then((isGood) => {
                if (isGood && !isInUse) {
                  isOther = true;
                  texts.set(key, fresh);
                }
                return isGood;
              });
            });
      fetched.set(key, list);
      if (list === known) continue;
      added.push(list);
      const started = list.start();
      if (text === undefined) first.push(started);
    }
    await this.#waitFor(first);
    const compiled = new Map(texts);
    const policy = isOther && plan ? await runInTurns(plan.compile(compiled), this.#options.turn) : undefined;
    return {
      policy,
      commit: () => {
        isInUse = true;
        for (const [key, list] of this.#fetched) if (fetched.get(key) !== list) list.close();
        this.#fetched = fetched;
        this.#plan = plan;
        for (const key of this.#faults.keys()) if (compiled.get(key) !== this.#texts.get(key)) this.#faults.delete(key);
        this.#texts = compiled;
        this.#changed = new Set();
        // What arrived while the rules were compiled.
        for (const [key, text] of texts) if (compiled.get(key) !== text) void this.replace(key, { ok: true, text });
        for (const { key } of plan?.sources ?? []) {
          const text = compiled.get(key);
          if (text !== undefined) this.#keep({ key }, text);
        }
      },
      abandon() {
        for (const list of added) list.close();
      },
    };
  }

  /** Uses another text of a list, or tells why there is none. Resolves with whether it is in effect. */
  async replace(key: string, read: ListText): Promise<boolean> {
    const plan = this.#plan;
    const source = this.#find(key);
    if (plan === undefined || source === undefined) return false;
    if (!read.ok) {
      this.#blame(source, [`Cannot read ${source.name}: ${read.reason}.`]);
      return false;
    }
    if (read.text === this.#texts.get(key)) {
      this.#recover(source);
      return true;
    }
    if (!(await this.#check(plan, source, read.text)) || plan !== this.#plan) return false;
    this.#texts.set(key, read.text);
    this.#changed.add(source);
    // Lists that change while rules are compiled are in the next ones together.
    this.#compiling ??= this.#compile().finally(() => (this.#compiling = undefined));
    await this.#compiling;
    return true;
  }

  close(): void {
    for (const list of this.#fetched.values()) list.close();
    this.#plan = undefined;
  }

  /** `early` takes a text while its configuration is not in effect yet; undefined once it is. */
  #createFetched(source: FetchedList["source"], early: (text: string) => Promise<boolean> | undefined): FetchedList {
    const { fetch, random } = this.#options;
    return new FetchedList(source, {
      fetch,
      random,
      take: (key, text) => early(text) ?? this.replace(key, { ok: true, text }),
      blame: (_, why) => this.#blame(source, [`The list ${why}.`]),
      confirm: () => this.#recover(source),
    });
  }

  async #waitFor(lists: readonly Promise<void>[]): Promise<void> {
    if (lists.length === 0) return;
    const { promise: elapsed, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.firstFetchMs ?? FIRST_FETCH_MS);
    await Promise.race([Promise.all(lists), elapsed]);
    clearTimeout(timer);
  }

  async #compile(): Promise<void> {
    const { turn, use, tell } = this.#options;
    for (let plan = this.#plan; plan !== undefined && this.#changed.size > 0; plan = this.#plan) {
      const changed = this.#changed;
      this.#changed = new Set();
      const texts = new Map(this.#texts);
      const policy = await runInTurns(plan.compile(texts), turn);
      // A reload has read them meanwhile.
      if (plan !== this.#plan) continue;
      use(policy);
      for (const source of changed) {
        this.#faults.delete(source.key);
        tell(`Read the list ${source.name} again.`, "info");
        this.#keep(source, texts.get(source.key) ?? "");
      }
    }
  }

  async #check(plan: ListsPlan, source: ListSource, text: string): Promise<boolean> {
    const faults = await runInTurns(plan.check(source.key, text), this.#options.turn);
    if (faults.length > 0) this.#blame(source, faults);
    return faults.length === 0;
  }

  #keep({ key }: Pick<ListSource, "key">, text: string): void {
    void this.#options.keep(key, text);
  }

  #find(key: string): ListSource | undefined {
    return this.#plan?.sources.find((each) => each.key === key);
  }

  #blame({ key, name }: ListSource, faults: readonly string[]): void {
    const text = faults.join("\n");
    if (this.#faults.get(key) === text) return;
    this.#faults.set(key, text);
    const { tell } = this.#options;
    tell(`Cannot use the new list ${name}. ${this.#describeRest(key)}`, "error");
    for (const fault of faults) tell(`  ${fault}`, "error");
  }

  #describeRest(key: string): string {
    return this.#texts.has(key) || this.#prepared?.has(key) === true
      ? "The one before stays in use:"
      : "Until there is one, rules that allow by it match nothing, and rules that deny by it refuse everything:";
  }

  #recover({ key, name }: ListSource): void {
    if (!this.#faults.delete(key)) return;
    this.#options.tell(`The list ${name} can be used again, and is as before.`, "info");
  }
}

/** Milliseconds that a start or a reload waits for lists that have to be fetched. */
const FIRST_FETCH_MS = 5000;
