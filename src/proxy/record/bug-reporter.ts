import type { Tell } from "../../operator-message.ts";
import { describeThrown, findPlace } from "../hook/describe-thrown.ts";
import { QuietTeller } from "./quiet-teller.ts";

export interface BugReporterOptions {
  readonly tell: Tell;
  /** Texts that are redacted in messages. */
  readonly secrets?: readonly string[];
  /** A monotonic clock in milliseconds. */
  readonly now?: () => number;
}

/** Tells the operator of bugs, one line each with its place in the source; of one place at most every ten seconds. */
export class BugReporter {
  readonly #teller: QuietTeller;
  readonly #secrets: readonly string[];

  constructor({ tell, secrets = [], now }: BugReporterOptions) {
    this.#teller = new QuietTeller((message) => tell(message, "error"), now);
    this.#secrets = secrets;
  }

  /** `what` goes before what was thrown: `A mistake of the proxy ended connection k3v9q1-7`. Never throws. */
  report(what: string, thrown: unknown): void {
    const place = findPlace(thrown) ?? typeof thrown;
    this.#teller.report(place, (silenced) => {
      const before = silenced === 0 ? "" : ` The same happened ${silenced} times before.`;
      return `${what}: ${describeThrown(thrown, this.#secrets)}.${before}`;
    });
  }
}
