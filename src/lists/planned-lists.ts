import type { Tell } from "../operator-message.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import { runInTurns } from "../steps.ts";
import type { ListSource, ListsPlan } from "./list-source.ts";

export interface PlannedListsOptions {
  readonly tell: Tell;
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
  /** Uses other rules for new connections and requests. */
  readonly use: (policy: Policy) => void;
  /** Keeps the text of a list for the next start. */
  readonly keep: (key: string, text: string) => Promise<void>;
}

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

  /** Uses another text of a list, or tells why there is none. Resolves with whether it is used as long as this configuration is. */
  async take(key: string, read: ListText): Promise<boolean> {
    const accepted = this.#checking.then(() => this.#accept(key, read));
    this.#checking = accepted.catch(() => undefined);
    if (!(await accepted)) return false;
    await this.#renew();
    return this.#state !== "over";
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
    // What arrived while the rules were compiled.
    void this.#renew();
  }

  end(): void {
    this.#state = "over";
  }

  blame(key: string, faults: readonly string[]): void {
    const source = this.#find(key);
    const text = faults.join("\n");
    if (source === undefined || this.#faults.get(key) === text) return;
    this.#faults.set(key, text);
    const { tell } = this.#options;
    const rest = this.#texts.has(key)
      ? "The one before stays in use:"
      : "Until there is one, rules that allow by it match nothing, and rules that deny by it refuse everything:";
    tell(`Cannot use the new list ${source.name}. ${rest}`, "error");
    for (const fault of faults) tell(`  ${fault}`, "error");
  }

  recover(key: string): void {
    if (!this.#faults.delete(key)) return;
    this.#options.tell(`The list ${this.#find(key)?.name} can be used again, and is as before.`, "info");
  }

  /** What was told of lists that are as before is not told again. */
  #replace(before: PlannedLists): void {
    before.end();
    for (const [key, fault] of before.#faults)
      if (this.#find(key) && !this.#faults.has(key) && this.read(key) === before.read(key))
        this.#faults.set(key, fault);
  }

  /** The one place where a text becomes one of these lists. */
  async #accept(key: string, read: ListText): Promise<boolean> {
    const source = this.#find(key);
    if (source === undefined || this.#state === "over") return false;
    if (!read.ok) {
      this.blame(key, [`Cannot read ${source.name}: ${read.reason}.`]);
      return false;
    }
    if (read.text === this.#texts.get(key)) {
      this.recover(key);
      return true;
    }
    const faults = await runInTurns(this.plan.check(key, read.text), this.#options.turn);
    // A reload has replaced this configuration meanwhile.
    if (this.#isOver()) return false;
    if (faults.length > 0) {
      this.blame(key, faults);
      return false;
    }
    this.#texts.set(key, read.text);
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
    const { use, tell, keep } = this.#options;
    try {
      while (this.#changed.size > 0) {
        const changed = this.#changed;
        const policy = await this.compile();
        if (policy === undefined || this.#state !== "in effect") return;
        use(policy);
        for (const { key, name } of changed) {
          tell(`Read the list ${name} again.`, "info");
          void keep(key, this.#texts.get(key) ?? "");
        }
      }
    } finally {
      // At once, and not after others have run: they would wait for it in vain.
      this.#compiling = undefined;
    }
  }

  #isOver(): boolean {
    return this.#state === "over";
  }

  #find(key: string): ListSource | undefined {
    return this.plan.sources.find((each) => each.key === key);
  }
}
