import type { LanePool } from "../net/conn/lanes.ts";

/** Milliseconds before it begins: a client that waits for the port comes sooner. */
const DELAY_MS = 50;
/** Milliseconds between two looks at the clients. */
const LOOK_MS = 10;
/** Milliseconds after which nobody looks any more: a rehearsal is over by then. */
const LIMIT_MS = 1500;

/**
 * Has the first lane rehearse, unless a client comes before. Ends it when a client
 * comes. Returns what ends it at once.
 */
export function startLaneWarmUp(lanes: Pick<LanePool, "rehearse">, hasClients: () => boolean): () => void {
  const startedAt = performance.now();
  let endRehearsal: (() => void) | undefined;
  const timer = setInterval(() => {
    const age = performance.now() - startedAt;
    if (hasClients() || age > LIMIT_MS) stop();
    else if (age >= DELAY_MS) endRehearsal ??= lanes.rehearse();
  }, LOOK_MS).unref();
  function stop(): void {
    clearInterval(timer);
    endRehearsal?.();
  }
  return stop;
}
