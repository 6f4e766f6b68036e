/** Milliseconds between two checks whether a burst is over. */
const LOOK_MS = 500;
/** The same while nothing comes and nothing ends: to wake an idle process costs more than the look. */
const QUIET_LOOK_MS = 5000;
/** Connections whose garbage is worth a collection: about 10 KB each. */
const WORTH = 1_000;

/** Connections since the start. */
export interface ConnectionCounts {
  readonly accepted: number;
  readonly ended: number;
}

/**
 * Gives back the memory of a burst of connections, when many came or ended and
 * then none for a while. The runtime collects garbage only when it allocates, and
 * an idle proxy does not allocate. A collection takes some milliseconds. Returns
 * a function that stops it.
 */
export function tidyMemory(count: () => ConnectionCounts): () => void {
  let tidied: ConnectionCounts = { accepted: 0, ended: 0 };
  let seen = tidied;
  let timer = setTimeout(look, LOOK_MS).unref();
  function look(): void {
    const now = count();
    const isQuiet = now.accepted === seen.accepted && now.ended === seen.ended;
    if (isQuiet && (now.accepted - tidied.accepted >= WORTH || now.ended - tidied.ended >= WORTH)) {
      tidied = now;
      Bun.gc(true);
    }
    seen = now;
    timer = setTimeout(look, isQuiet ? QUIET_LOOK_MS : LOOK_MS).unref();
  }
  return () => clearTimeout(timer);
}
