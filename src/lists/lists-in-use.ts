import type { Tell } from "../operator-message.ts";
import type { Policy } from "../proxy/policy/policy.ts";
import { runInTurns } from "../steps.ts";
import type { ListSource, ListsPlan } from "./list-source.ts";

export interface ListsInUseOptions {
  readonly tell: Tell;
  /** Resolves when clients have had their turn. */
  readonly turn: () => Promise<void>;
  /** Uses other rules for new connections and requests. */
  readonly use: (policy: Policy) => void;
}

/** A text that was read, or why there is none. */
type ListText = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly reason: string };

/** The lists in use. A new one that cannot be used leaves the one before in use, and says so. */
export class ListsInUse {
  readonly #options: ListsInUseOptions;
  #plan: ListsPlan | undefined;
  #texts = new Map<string, string>();
  /** What was told to be wrong with a list, by key. */
  readonly #faults = new Map<string, string>();
  /** Lists whose new texts are in no policy yet. */
  #changed = new Set<ListSource>();
  #compiling: Promise<void> | undefined;

  constructor(options: ListsInUseOptions) {
    this.#options = options;
  }

  /** Follows the lists of another configuration, which is in effect with the texts of its plan. */
  follow(plan: ListsPlan | undefined): void {
    this.#plan = plan;
    this.#texts = new Map(plan?.texts);
    this.#faults.clear();
    this.#changed = new Set();
  }

  /** Uses another text of a list, or tells why there is none. Resolves when it is in effect. */
  async replace(key: string, read: ListText): Promise<void> {
    const plan = this.#plan;
    const source = plan?.sources.find((each) => each.key === key);
    if (plan === undefined || source === undefined) return;
    if (!read.ok) return this.#blame(source, [`Cannot read ${source.name}: ${read.reason}.`]);
    if (read.text === this.#texts.get(key)) return this.#recover(source);
    const faults = await runInTurns(plan.check(key, read.text), this.#options.turn);
    if (plan !== this.#plan) return;
    if (faults.length > 0) return this.#blame(source, faults);
    this.#texts.set(key, read.text);
    this.#changed.add(source);
    // Lists that change while rules are compiled are in the next ones together.
    this.#compiling ??= this.#compile().finally(() => (this.#compiling = undefined));
    await this.#compiling;
  }

  async #compile(): Promise<void> {
    const { turn, use, tell } = this.#options;
    for (let plan = this.#plan; plan !== undefined && this.#changed.size > 0; plan = this.#plan) {
      const changed = this.#changed;
      this.#changed = new Set();
      const policy = await runInTurns(plan.compile(new Map(this.#texts)), turn);
      // A reload has read them meanwhile.
      if (plan !== this.#plan) continue;
      use(policy);
      for (const source of changed) {
        this.#faults.delete(source.key);
        tell(`Read the list ${source.name} again.`, "info");
      }
    }
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
    return this.#texts.has(key)
      ? "The one before stays in use:"
      : "Until there is one, rules that allow by it match nothing, and rules that deny by it refuse everything:";
  }

  #recover({ key, name }: ListSource): void {
    if (!this.#faults.delete(key)) return;
    this.#options.tell(`The list ${name} can be used again, and is as before.`, "info");
  }
}
