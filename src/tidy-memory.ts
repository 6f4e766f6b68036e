/** How often it is looked whether a burst is over: milliseconds. */
const LOOK_MS = 500;
/** Connections that leave enough behind to be worth a collection: about 10 KB each. */
const WORTH = 1_000;

/** Connections since the start. */
export interface ConnectionCounts {
  readonly accepted: number;
  readonly ended: number;
}

/**
 * Gives back the memory of a burst of connections, when many came or ended and
 * then none for a while. The runtime collects garbage when memory is asked for,
 * and a proxy with idle tunnels, or with none, asks for none. A collection takes
 * some milliseconds. Returns what stops it.
 */
export function tidyMemory(count: () => ConnectionCounts): () => void {
  let tidied: ConnectionCounts = { accepted: 0, ended: 0 };
  let seen = tidied;
  const timer = setInterval(() => {
    const now = count();
    const isQuiet = now.accepted === seen.accepted && now.ended === seen.ended;
    if (isQuiet && (now.accepted - tidied.accepted >= WORTH || now.ended - tidied.ended >= WORTH)) {
      tidied = now;
      Bun.gc(true);
    }
    seen = now;
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
