import { describe, expect, test } from "bun:test";
import { PacThread } from "../../../src/pac/pac-thread.ts";

const question = { url: "https://a.example/", host: "a.example" };

async function withThread(work: (thread: PacThread) => Promise<void>, orderMs?: number): Promise<void> {
  const thread = new PacThread(orderMs);
  try {
    await work(thread);
  } finally {
    thread.close();
  }
}

/** One step of the engine, without a loop in the file: nothing but the end of the process ends it early. */
const LONG_STEP = `var g = []; for (var i = 0; i < 1e5; i++) g = [g]; JSON.stringify(g);`;

describe("the thread of a PAC file", () => {
  test("answers questions in turn", () =>
    withThread(async (thread) => {
      expect(await thread.load(`var n = 0; function FindProxyForURL() { return "PROXY a:" + ++n; }`)).toEqual({
        ok: true,
      });
      const steps = await Promise.all([1, 2, 3].map(() => thread.find(question, {})));
      expect(steps).toEqual([1, 2, 3].map((n) => ({ kind: "answer", text: `PROXY a:${n}` })));
    }));

  test("keeps the file in use when another one cannot be used", () =>
    withThread(async (thread) => {
      await thread.load(`function FindProxyForURL() { return "PROXY a:1"; }`);
      expect(await thread.load("}")).toEqual({ ok: false, why: expect.stringContaining("SyntaxError") });
      expect(await thread.find(question, {})).toEqual({ kind: "answer", text: "PROXY a:1" });
      await thread.load(`function FindProxyForURL() { return "PROXY a:2"; }`);
      expect(await thread.find(question, {})).toEqual({ kind: "answer", text: "PROXY a:2" });
    }));

  test("does not hold up the event loop, whatever the file does", () =>
    withThread(async (thread) => {
      await thread.load(`function FindProxyForURL() { for (;;); }`);
      let turns = 0;
      const counting = setInterval(() => (turns += 1), 10);
      const step = await thread.find(question, {});
      clearInterval(counting);
      expect(step).toEqual({ kind: "failed", why: "did not end within 500 ms" });
      expect(turns).toBeGreaterThan(0);
    }));

  test("is given up when one step of the engine takes too long, and another one takes its place when it has ended", () =>
    withThread(async (thread) => {
      const source = `function FindProxyForURL(url, host) { if (host === "bad") { ${LONG_STEP} } return "DIRECT"; }`;
      expect(await thread.load(source)).toEqual({ ok: true });
      const failed = { kind: "failed", why: "did not end, and its thread was given up" } as const;
      expect(await thread.find({ url: "https://bad/", host: "bad" }, {})).toEqual(failed);
      let step = await thread.find(question, {});
      // At first the core is still taken.
      expect(step).toEqual(failed);
      while (step.kind === "failed") step = await Bun.sleep(20).then(() => thread.find(question, {}));
      expect(step).toEqual({ kind: "answer", text: "DIRECT" });
    }, 300));

  test("answers nothing any more once it is closed", () =>
    withThread(async (thread) => {
      await thread.load(`function FindProxyForURL() { for (;;); }`);
      const asked = thread.find(question, {});
      thread.close();
      expect((await asked).kind).toBe("failed");
      expect((await thread.find(question, {})).kind).toBe("failed");
    }));
});
