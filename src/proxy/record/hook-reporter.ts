import type { Tell } from "../../operator-message.ts";
import { cutText, escapeText } from "../../escape-text.ts";
import { QuietTeller } from "./quiet-teller.ts";
import type { HookReport } from "../hook/call-hook.ts";

export interface HookReporterOptions {
  /** What must not be in a message, whatever a function threw. */
  readonly secrets?: readonly string[];
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/**
 * Tells the operator of functions of the configuration that fail: about each at
 * once, then at most every ten seconds with the number of failures in between.
 */
export class HookReporter {
  readonly #teller: QuietTeller;
  readonly #secrets: readonly string[];

  constructor(tell: Tell, { secrets = [], now }: HookReporterOptions = {}) {
    this.#teller = new QuietTeller((message) => tell(message, "error"), now);
    this.#secrets = secrets;
  }

  report({ hook, fault }: HookReport): void {
    this.#teller.report(hook, (silenced) => {
      const name = escapeText(cutText(hook, 100));
      const thrown = fault.thrown === undefined ? "" : ` ${fault.thrown(this.#secrets)}`;
      const before = silenced === 0 ? "" : ` So did ${silenced} calls before it.`;
      return `The ${name} ${fault.why}${thrown}, ${fault.result ?? "so the connection is refused"}.${before}`;
    });
  }
}
