import { describe, expect, test } from "bun:test";
import type { LoadResult } from "../../src/config/load.ts";
import { type Applied, Reloader } from "../../src/reloader.ts";

const loaded = { ok: true, value: { compiled: {} }, warnings: [], files: ["/a"] } as unknown as LoadResult;
const refused: LoadResult = {
  ok: false,
  problems: [{ path: ["rules", 0], message: "Found a text." }],
  warnings: [],
  files: [],
};

/** A reloader of a configuration that is loaded and applied when the test says so. */
function makeReloader(results: readonly LoadResult[], applied: Applied = { ok: true, changes: [], warnings: [] }) {
  const waiting: (() => void)[] = [];
  const told: string[] = [];
  const state = { draining: false, loads: 0 };
  const reloader = new Reloader({
    load: async () => {
      const result = results[state.loads] ?? loaded;
      state.loads += 1;
      await new Promise<void>((resolve) => waiting.push(resolve));
      return result;
    },
    apply: () => Promise.resolve(applied),
    isDraining: () => state.draining,
    tell: (line) => told.push(line),
    now: () => 1000 + state.loads,
  });
  return { reloader, state, told, release: () => waiting.shift()?.() };
}

describe("Reloader", () => {
  test("runs one reload at a time, and all that come meanwhile share the next", async () => {
    const { reloader, state, release } = makeReloader([]);
    const first = reloader.reload();
    const [second, third] = [reloader.reload(), reloader.reload()];
    expect(state.loads).toBe(1);
    release();
    await first;
    await Promise.resolve();
    expect(state.loads).toBe(2);
    release();
    expect(await second).toBe(await third);
    expect(state.loads).toBe(2);
  });

  test("remembers whether the last one was successful, and when one was", async () => {
    const { reloader, told, release } = makeReloader([refused, loaded]);
    expect([reloader.successful, reloader.succeededAt]).toEqual([true, 1000]);
    const bad = reloader.reload();
    release();
    expect(await bad).toEqual({ kind: "invalid", problems: ["rules[0]: Found a text."] });
    expect([reloader.successful, reloader.succeededAt]).toEqual([false, 1000]);
    expect(told).toEqual([
      "Cannot use the new configuration. The one before stays in effect:",
      "  rules[0]: Found a text.",
    ]);
    const good = reloader.reload();
    release();
    await good;
    expect([reloader.successful, reloader.succeededAt]).toEqual([true, 1002]);
  });

  test("refuses while the proxy drains, also one that began before", async () => {
    const { reloader, state, release } = makeReloader([]);
    const under = reloader.reload();
    state.draining = true;
    release();
    expect((await under).kind).toBe("refused");
    expect((await reloader.reload()).kind).toBe("refused");
    expect([state.loads, reloader.successful]).toEqual([1, true]);
  });

  test("goes on after a reload that threw", async () => {
    let loads = 0;
    const reloader = new Reloader({
      load: () => {
        loads += 1;
        return loads === 1 ? Promise.reject(new Error("a mistake")) : Promise.resolve(loaded);
      },
      apply: () => Promise.resolve({ ok: true, changes: [], warnings: [] }),
      isDraining: () => false,
      tell: () => {},
    });
    const first = reloader.reload();
    const second = reloader.reload();
    const [failed, done] = await Promise.allSettled([first, second]);
    expect([failed.status, done.status]).toEqual(["rejected", "fulfilled"]);
  });
});
