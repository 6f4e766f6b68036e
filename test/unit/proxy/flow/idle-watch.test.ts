import { describe, expect, test } from "bun:test";
import { ACTIVE, unwatchIdle, watchIdle, type Watched } from "../../../../src/proxy/flow/idle-watch.ts";

/** Something that is watched, and the promise that it expires. */
function makeWatched(lastActivity: number): { watched: Watched; expired: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { watched: { lastActivity, expire: resolve }, expired: promise };
}

describe("watchIdle()", () => {
  test("puts the time to what was active, and lets it expire when it is not any more", async () => {
    const idleMs = 20.5;
    const { watched, expired } = makeWatched(ACTIVE);
    watchIdle(watched, idleMs);
    const before = performance.now();
    await expired;
    unwatchIdle(watched, idleMs);
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
    watchIdle(worker, idleMs);
    watchIdle(idle.watched, idleMs);
    await Promise.all([idle.expired, seen]);
    for (const watched of [worker, idle.watched]) unwatchIdle(watched, idleMs);
    expect(expirations).toBe(0);
  });
});
