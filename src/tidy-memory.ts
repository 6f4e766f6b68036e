/** How often it is looked whether a burst is over: milliseconds. */
const LOOK_MS = 500;
/** Connections that leave enough behind to be worth a collection: about 10 KB each. */
const WORTH = 1_000;

/**
 * Gives back what a burst of connections has left in memory, once it is over:
 * when many came and then none for a while. The runtime collects when memory is
 * asked for, and who has idle tunnels asks for none. A collection takes some
 * milliseconds, and there is one per burst. Gives what ends it.
 */
export function tidyMemory(countAccepted: () => number): () => void {
  let tidiedAt = 0;
  let seen = 0;
  const timer = setInterval(() => {
    const accepted = countAccepted();
    if (accepted === seen && accepted - tidiedAt >= WORTH) {
      tidiedAt = accepted;
      Bun.gc(true);
    }
    seen = accepted;
  }, LOOK_MS);
  timer.unref();
  return () => clearInterval(timer);
}
