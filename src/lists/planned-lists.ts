import { cutText } from "../escape-text.ts";
import type { Tell } from "../operator-message.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import { runInTurns } from "../steps.ts";
import type { ListChange, ListState, ListStatus } from "./list-status.ts";
import type { ListSource, ListsPlan } from "./list-source.ts";

export interface PlannedListsOptions {
  readonly tell: Tell;
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
  /** Uses other rules for new connections and requests. */
  readonly use: (policy: Policy) => void;
  /** Keeps the text of a list for the next start. */
  readonly keep: (key: string, text: string) => Promise<void>;
  /** Is told when a list changes, fails, or can be used again. */
  readonly publish: (change: ListChange) => void;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
}

/** Characters of what is wrong with a list, for events and the status. */
const MAX_FAULT = 200;

/** A text that was read, or why there is none. */
export type ListText = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string };

/**
 * The lists of one configuration, before it comes into effect and while it is. A text
 * is among them only when the plan of this configuration has checked it.
 */
export class PlannedLists {
  readonly plan: ListsPlan;
  readonly #options: PlannedListsOptions;
  readonly #texts: Map<string, string>;
  /** The number of entries of each text: it is counted when the text is checked. */
  readonly #entries: Map<string, number>;
  /** When each text was read for the last time, and found good. */
  readonly #readAt = new Map<string, number>();
  /** Reads that gave no text that can be used. */
  readonly #failures = new Map<string, number>();
  /** Lists that were not read since the process began. */
  readonly #kept: Set<string>;
  /** What was told to be wrong with a list, by key. */
  readonly #faults = new Map<string, string>();
  /** Lists whose new texts are in no policy yet. */
  #changed = new Set<ListSource>();
  #state: "pending" | "in effect" | "over" = "pending";
  /** Texts are checked in the order in which they come. */
  #checking: Promise<unknown> = Promise.resolve();
  #compiling: Promise<void> | undefined;

  constructor(plan: ListsPlan, options: PlannedListsOptions) {
    this.plan = plan;
    this.#options = options;
    this.#texts = new Map(plan.texts);
    this.#entries = new Map(plan.entries);
    const now = options.now();
    this.#kept = new Set(plan.kept);
    for (const key of plan.texts.keys()) if (!plan.kept.has(key)) this.#readAt.set(key, now);
  }

  get isPending(): boolean {
    return this.#state === "pending";
  }

  read(key: string): string | undefined {
    return this.#texts.get(key);
  }

  /** What an operator should know of the lists: those without content, and those whose new content cannot be used. */
  get warnings(): string[] {
    return this.plan.sources.flatMap(({ key, name }) => {
      if (!this.#texts.has(key))
        return `The list ${name} has no content yet: rules that deny by it refuse everything, and rules that allow by it match nothing.`;
      return this.#faults.has(key)
        ? `The list ${name} has new content that cannot be used: the one before is in use.`
        : [];
    });
  }

  /** How each list is, in the order of the rules. The work does not grow with what is in them. */
  *statuses(): Iterable<ListStatus> {
    for (const { key, label } of this.plan.sources) {
      const [readAt, fault] = [this.#readAt.get(key), this.#faults.get(key)];
      yield {
        name: label,
        state: this.#chooseState(key),
        entries: this.#countEntries(key),
        failures: this.#countFailures(key),
        ...(readAt !== undefined && { readAt }),
        ...(fault !== undefined && { fault: shorten(fault) }),
      };
    }
  }

  /** When the text in use was read, or found to be as before; undefined when it is a kept one. */
  readAt(key: string): number | undefined {
    return this.#readAt.get(key);
  }

  /** Uses another text of a list, or tells why there is none. Resolves with whether it is used as long as this configuration is. */
  take(key: string, read: ListText): Promise<boolean> {
    return this.#take(key, read, this.#options.now());
  }

  /** Uses a text of the configuration before, which was read at that time. */
  adopt(key: string, text: string, readAt: number | undefined): Promise<boolean> {
    return this.#take(key, { ok: true, text }, readAt);
  }

  /** The rules with the texts as they are, where these are others than in the rules before. */
  async compile(): Promise<Policy | undefined> {
    if (this.#changed.size === 0) return undefined;
    this.#changed = new Set();
    return runInTurns(this.plan.compile(new Map(this.#texts)), this.#options.turn);
  }

  /** The rules that `compile` made are in effect, or those of the plan. */
  begin(before: PlannedLists | undefined): void {
    this.#state = "in effect";
    for (const [key, text] of this.#texts) void this.#options.keep(key, text);
    if (before !== undefined) this.#replace(before);
    this.#publishChanges(before);
    // What arrived while the rules were compiled.
    void this.#renew();
  }

  end(): void {
    this.#state = "over";
  }

  blame(key: string, faults: readonly string[]): void {
    const source = this.#find(key);
    const text = faults.join("\n");
    if (source === undefined) return;
    const failures = this.#countFailures(key) + 1;
    this.#failures.set(key, failures);
    if (this.#faults.get(key) === text) return;
    this.#faults.set(key, text);
    const { tell, publish } = this.#options;
    const isInUse = this.#texts.has(key);
    publish({ change: "failed", list: source.label, why: shorten(text), failures, in_use: isInUse });
    const rest = isInUse
      ? "The one before stays in use:"
      : "Until there is one, rules that allow by it match nothing, and rules that deny by it refuse everything:";
    tell(`Cannot use the new list ${source.name}. ${rest}`, "error");
    for (const fault of faults) tell(`  ${fault}`, "error");
  }

  /** The server says that the list is as before. */
  confirm(key: string): void {
    this.#recover(key, this.#options.now());
  }

  /** The list is as before, as was found at that time. */
  #recover(key: string, readAt: number | undefined): void {
    this.#noteRead(key, readAt);
    const source = this.#find(key);
    if (!this.#faults.delete(key) || source === undefined) return;
    this.#options.publish({ change: "recovered", list: source.label, entries: this.#countEntries(key) });
    this.#options.tell(`The list ${source.name} can be used again, and is as before.`, "info");
  }

  async #take(key: string, read: ListText, readAt: number | undefined): Promise<boolean> {
    const accepted = this.#checking.then(() => this.#accept(key, read, readAt));
    this.#checking = accepted.catch(() => undefined);
    if (!(await accepted)) return false;
    await this.#renew();
    return this.#state !== "over";
  }

  /** What was told of lists that are as before is not told again. */
  #replace(before: PlannedLists): void {
    before.end();
    for (const [key, fault] of before.#faults)
      if (this.#find(key) && !this.#faults.has(key) && this.read(key) === before.read(key))
        this.#faults.set(key, fault);
    for (const [key, failures] of before.#failures)
      if (this.#find(key)) this.#failures.set(key, failures + this.#countFailures(key));
    for (const [key, readAt] of before.#readAt)
      if (!this.#readAt.has(key) && this.read(key) === before.read(key)) this.#readAt.set(key, readAt);
  }

  /** Tells of lists that changed with the configuration, or were fetched for it. */
  #publishChanges(before: PlannedLists | undefined): void {
    for (const { key, label } of this.plan.sources) {
      const text = this.#texts.get(key);
      const known = before?.read(key);
      if (text === undefined || text === known) continue;
      if (known !== undefined || text !== this.plan.texts.get(key))
        this.#options.publish({ change: "read", list: label, entries: this.#countEntries(key) });
    }
  }

  /** The one place where a text becomes one of these lists. */
  async #accept(key: string, read: ListText, readAt: number | undefined): Promise<boolean> {
    const source = this.#find(key);
    if (source === undefined || this.#state === "over") return false;
    if (!read.ok) {
      this.blame(key, [`Cannot read ${source.name}: ${read.reason}.`]);
      return false;
    }
    if (read.text === this.#texts.get(key)) {
      this.#recover(key, readAt);
      return true;
    }
    const { faults, entries } = await runInTurns(this.plan.check(key, read.text), this.#options.turn);
    // A reload has replaced this configuration meanwhile.
    if (this.#isOver()) return false;
    if (faults.length > 0) {
      this.blame(key, faults);
      return false;
    }
    this.#texts.set(key, read.text);
    this.#entries.set(key, entries);
    this.#noteRead(key, readAt);
    this.#faults.delete(key);
    this.#changed.add(source);
    return true;
  }

  /** Puts changed lists into effect. Those that change while rules are compiled are in the next ones together. */
  async #renew(): Promise<void> {
    if (this.#state === "in effect" && this.#changed.size > 0) this.#compiling ??= this.#compileChanged();
    await this.#compiling;
  }

  async #compileChanged(): Promise<void> {
    const { use, tell, keep, publish } = this.#options;
    try {
      while (this.#changed.size > 0) {
        const changed = this.#changed;
        const policy = await this.compile();
        if (policy === undefined || this.#state !== "in effect") return;
        use(policy);
        for (const { key, name, label } of changed) {
          publish({ change: "read", list: label, entries: this.#countEntries(key) });
          tell(`Read the list ${name} again.`, "info");
          void keep(key, this.#texts.get(key) ?? "");
        }
      }
    } finally {
      // At once, and not after others have run: they would wait for it in vain.
      this.#compiling = undefined;
    }
  }

  #noteRead(key: string, readAt: number | undefined): void {
    if (readAt === undefined) return;
    this.#readAt.set(key, readAt);
    this.#kept.delete(key);
  }

  #chooseState(key: string): ListState {
    if (!this.#texts.has(key)) return "empty";
    if (this.#faults.has(key)) return "failing";
    return this.#kept.has(key) ? "kept" : "good";
  }

  #countEntries(key: string): number {
    return this.#entries.get(key) ?? 0;
  }

  #countFailures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  #isOver(): boolean {
    return this.#state === "over";
  }

  #find(key: string): ListSource | undefined {
    return this.plan.sources.find((each) => each.key === key);
  }
}

/** The first thing that is wrong with a list. */
function shorten(fault: string): string {
  return cutText(fault.split("\n", 1)[0] ?? "", MAX_FAULT);
}
