import { cutText, escapeText } from "../record/escape-text.ts";
import type { HookFault } from "./call-hook.ts";

/** A function of the configuration that failed, and with it the connection that needed its answer. */
export interface HookReport {
  /** Which function: `rule lab`, `via of rule lab`, `users`. */
  readonly hook: string;
  readonly fault: HookFault;
}

/** Milliseconds between two messages about the same function. */
const QUIET_MS = 10_000;

/** Functions that are remembered: a reload may bring others, and no number of them may fill the memory. */
const MAX_HOOKS = 256;

interface Told {
  readonly at: number;
  silenced: number;
}

/**
 * Tells the operator of functions of the configuration that fail: about each at
 * once, then at most every ten seconds with the number of failures in between.
 */
export class HookReporter {
  readonly #tell: (message: string) => void;
  readonly #now: () => number;
  readonly #told = new Map<string, Told>();

  /** `now` is a monotonic clock in milliseconds. */
  constructor(tell: (message: string) => void, now = () => performance.now()) {
    this.#tell = tell;
    this.#now = now;
  }

  report({ hook, fault }: HookReport): void {
    const now = this.#now();
    const told = this.#told.get(hook);
    if (told !== undefined && now - told.at < QUIET_MS) {
      told.silenced += 1;
      return;
    }
    if (told === undefined && this.#told.size >= MAX_HOOKS) this.#told.clear();
    this.#told.set(hook, { at: now, silenced: 0 });
    const name = escapeText(cutText(hook, 100));
    const thrown = fault.thrown === undefined ? "" : ` ${fault.thrown}`;
    const before = told === undefined || told.silenced === 0 ? "" : ` So did ${told.silenced} calls before it.`;
    this.#tell(`The function of ${name} ${fault.why}${thrown}, so the connection is refused.${before}`);
  }
}
