import type { Carriage } from "./carriage.ts";
import type { DialServices } from "./dial-context.ts";
import { dialPooled, type PooledDial, type PooledOutcome } from "./fail-over.ts";

/**
 * Dials through one member after the other, and again and again as long as the
 * pool says that a request may wait: while its only fault is that of its members.
 */
export async function dialPatiently(dial: PooledDial, services: DialServices, first: Carriage): Promise<PooledOutcome> {
  let outcome = await dialPooled(dial, services, first);
  while (!outcome.ok && outcome.failure.culprit !== undefined && dial.search.waitMs > 0) {
    const found = await dial.search.findAgain();
    if (found === undefined) break;
    if (!found.ok) return found;
    outcome = await dialPooled(dial, services, found.value);
  }
  return outcome;
}
