import { describe, expect, test } from "bun:test";
import { ACTIVE, IdleWatch, type Watched } from "../../../../src/net/conn/idle-watch.ts";

/** Something that is watched, and the promise that it expires. */
function makeWatched(lastActivity: number): { watched: Watched; expired: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { watched: { lastActivity, expire: resolve }, expired: promise };
}

describe("IdleWatch", () => {
  test("puts the time to what was active, and lets it expire when it is not any more", async () => {
    const idleMs = 20.5;
    const { watched, expired } = makeWatched(ACTIVE);
    const watch = new IdleWatch();
    watch.watch(watched, idleMs);
    const before = performance.now();
    await expired;
    watch.unwatch(watched, idleMs);
    expect(watched.lastActivity).toBeGreaterThanOrEqual(before);
  });

  test("does not let expire what is active at every look", async () => {
    const idleMs = 21.5;
    const idle = makeWatched(ACTIVE);
    let expirations = 0;
    let looks = 0;
    const { promise: seen, resolve } = Promise.withResolvers<void>();
    const worker: Watched = {
      get lastActivity() {
        return ACTIVE;
      },
      set lastActivity(_) {
        looks += 1;
        if (looks === 4) resolve();
      },
      expire: () => void (expirations += 1),
    };
    const watch = new IdleWatch();
    watch.watch(worker, idleMs);
    watch.watch(idle.watched, idleMs);
    await Promise.all([idle.expired, seen]);
    for (const watched of [worker, idle.watched]) watch.unwatch(watched, idleMs);
    expect(expirations).toBe(0);
  });
});
