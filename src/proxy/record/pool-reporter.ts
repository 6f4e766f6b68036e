import type { PoolEvent } from "../upstream/pool.ts";
import { QuietTeller } from "./quiet-teller.ts";

/**
 * Tells the operator when the health of a member changes, and when sessions move.
 * Changes of health are told each, as far as the log is not flooded; sessions that
 * move between the same members are counted.
 */
export class PoolReporter {
  readonly #teller: QuietTeller;
  #changes = 0;

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
    this.#changes += 1;
    // The last message about a member has to be its last state: none is left out for an earlier one of the same kind.
    this.#teller.report(`change ${this.#changes}`, () => `Upstream ${pool}: ${member} is ${state} (${reason}).`);
  }
}
