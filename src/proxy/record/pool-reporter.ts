import type { PoolEvent } from "../upstream/pool.ts";
import { QuietTeller } from "./quiet-teller.ts";

/**
 * Tells the operator when the health of a member changes, and when sessions move:
 * about each member's state and each pair of members at once, then at most every
 * ten seconds with the number in between.
 */
export class PoolReporter {
  readonly #teller: QuietTeller;

  /** `now` is a monotonic clock in milliseconds. */
  constructor(tell: (message: string) => void, now?: () => number) {
    this.#teller = new QuietTeller(tell, now);
  }

  report(event: PoolEvent): void {
    const { pool } = event;
    if (event.kind === "moved") {
      const { from, to } = event;
      this.#teller.report(`${pool} ${from} ${to}`, (silenced) => {
        const more = silenced === 0 ? "" : ` So were ${silenced} sessions before it.`;
        return `Upstream ${pool}: a session of ${from} is led to ${to} now.${more}`;
      });
      return;
    }
    const { member, state, reason } = event;
    this.#teller.report(`${pool} ${member} ${state}`, (silenced) => {
      const more = silenced === 0 ? "" : ` So it was ${silenced} times before.`;
      return `Upstream ${pool}: ${member} is ${state} (${reason}).${more}`;
    });
  }
}
