import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { FairQueue, type FairQueueLimits } from "../../../../src/proxy/auth/fair-queue.ts";

const LIMITS: FairQueueLimits = { running: 1, waiting: 1000, waitingPerClient: 1000, waitMs: 60_000 };

/** A queue whose jobs end when they are told to; their names are noted as they start. */
function makeStand(limits: Partial<FairQueueLimits> = {}) {
  const queue = new FairQueue({ ...LIMITS, ...limits });
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const gone = new Set<string>();
  const looks = new Map<string, () => void>();
  const run = (client: string, name = client, trusted = false, network = client) =>
    queue.run(
      { client, network, trusted, isGone: () => gone.has(name), watchGone: (look) => looks.set(name, look) },
      () => {
        started.push(name);
        return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
      },
    );
  /** Ends a job and waits until the next ones have started. */
  const end = async (name: string): Promise<void> => {
    ends.get(name)?.();
    await Bun.sleep(0);
  };
  /** Ends jobs in the order in which they start, until none is left. */
  const endAll = async (): Promise<void> => {
    for (let at = 0; at < started.length; at++) await end(started[at] ?? "");
  };
  return { queue, started, gone, looks, run, end, endAll };
}

describe("FairQueue", () => {
  test("serves clients in turn, however many jobs each of them has", async () => {
    const { started, run, endAll } = makeStand();
    for (let at = 0; at < 5; at++) void run("flood", `flood ${at}`);
    void run("a", "a 0");
    void run("a", "a 1");
    void run("b", "b 0");
    await endAll();
    expect(started).toEqual(["flood 0", "flood 1", "a 0", "b 0", "flood 2", "a 1", "flood 3", "flood 4"]);
  });

  test("leaves a place to others, whatever one client wants, and uses all for many", async () => {
    const { started, run, end } = makeStand({ running: 4 });
    for (let at = 0; at < 10; at++) void run("flood", `flood ${at}`);
    expect(started).toEqual(["flood 0", "flood 1", "flood 2"]);
    void run("a");
    expect(started.at(-1)).toBe("a");
    void run("b");
    expect(started).toHaveLength(4);
    await end("flood 0");
    expect(started.at(-1)).toBe("b");
    await end("a");
    await end("b");
    expect(started).toHaveLength(6);
    expect(started.at(-1)).toBe("flood 3");
  });

  test("clients that are trusted and all others take turns", async () => {
    const { started, run, endAll } = makeStand();
    void run("first");
    for (let at = 0; at < 4; at++) void run(`stranger ${at}`);
    for (let at = 0; at < 3; at++) void run(`friend ${at}`, `friend ${at}`, true);
    await endAll();
    expect(started).toEqual([
      "first",
      "stranger 0",
      "friend 0",
      "stranger 1",
      "friend 1",
      "stranger 2",
      "friend 2",
      "stranger 3",
    ]);
  });

  test("turns away the client with the most jobs, and nobody else", async () => {
    const { queue, run } = makeStand({ waiting: 4 });
    const flood = Array.from({ length: 5 }, (_, at) => run("flood", `flood ${at}`));
    const others = [run("a"), run("b"), run("c")];
    expect(await Promise.all(flood.slice(2))).toEqual(["busy", "busy", "busy"]);
    expect(await run("flood", "late")).toBe("busy");
    expect(queue.waiting).toBe(4);
    // One job each: a client that is trusted comes before one that is not.
    void run("friend", "friend", true);
    const refused = await Promise.race([flood[1], ...others]);
    expect(refused).toBe("busy");
    expect(queue.waiting).toBe(4);
  });

  test("turns away what one client has too many of, though there is room", async () => {
    const { run } = makeStand({ waitingPerClient: 2 });
    const jobs = Array.from({ length: 4 }, (_, at) => run("flood", `flood ${at}`));
    expect(await jobs[3]).toBe("busy");
    const other = run("a");
    expect(await Promise.race([other, Promise.resolve("waits")])).toBe("waits");
  });

  test("serves networks in turn, however many clients each of them has", async () => {
    const { started, run, endAll } = makeStand();
    for (let at = 0; at < 6; at++) void run(`bot ${at}`, `bot ${at}`, false, "cloud");
    void run("a", "a", false, "home");
    void run("b", "b", false, "home");
    await endAll();
    expect(started).toEqual(["bot 0", "bot 1", "a", "bot 2", "b", "bot 3", "bot 4", "bot 5"]);
  });

  test("new clients of a network never keep an earlier one from its turn", async () => {
    const { started, run, end } = makeStand();
    void run("bot 0", "bot 0", false, "cloud");
    void run("again", "again 0", false, "cloud");
    await end("bot 0");
    void run("bot 1", "bot 1", false, "cloud");
    void run("again", "again 1", false, "cloud");
    for (let at = 1; at < 6; at++) {
      void run(`bot ${at + 1}`, `bot ${at + 1}`, false, "cloud");
      await end(started.at(-1) ?? "");
    }
    expect(started.slice(0, 5)).toContain("again 1");
  });

  test("turns away a client of the network with the most jobs", async () => {
    const { run } = makeStand({ waiting: 4 });
    const bots = Array.from({ length: 5 }, (_, at) => run(`bot ${at}`, `bot ${at}`, false, "cloud"));
    const other = run("a", "a", false, "home");
    expect(await bots[4]).toBe("busy");
    expect(await run("bot 9", "bot 9", false, "cloud")).toBe("busy");
    expect(await Promise.race([other, ...bots.slice(0, 4), Promise.resolve("wait")])).toBe("wait");
  });

  test("does no job that nobody waits for, and gives its place to others", async () => {
    const { queue, started, gone, run, end } = makeStand({ waitingPerClient: 3 });
    const jobs = Array.from({ length: 4 }, (_, at) => run("a", `a ${at}`));
    gone.add("a 1").add("a 2");
    // There is room again, though nobody looked before.
    const more = run("a", "a 4");
    expect(await Promise.all(jobs.slice(1, 3))).toEqual(["gone", "gone"]);
    gone.add("a 3");
    await end("a 0");
    expect(await jobs[3]).toBe("gone");
    expect(started).toEqual(["a 0", "a 4"]);
    await end("a 4");
    expect(await more).toBe("a 4");
    expect(queue.waiting).toBe(0);
  });

  test("drops a job at once when it is told that nobody waits for it any more", async () => {
    const { queue, gone, looks, run } = makeStand();
    void run("a");
    const waiting = run("b");
    looks.get("b")?.();
    expect(queue.waiting).toBe(1);
    gone.add("b");
    looks.get("b")?.();
    expect(await waiting).toBe("gone");
    expect(queue.waiting).toBe(0);
    expect(looks.has("a")).toBeFalse();
  });

  test("turns away what has waited too long", async () => {
    const { run } = makeStand({ waitMs: 1 });
    void run("a");
    expect(await run("b")).toBe("busy");
  });

  test("a job that fails gives its place to the next", async () => {
    const { queue, run, end } = makeStand();
    const owner = { client: "a", network: "a", trusted: false, isGone: () => false, watchGone: () => {} };
    const failing = queue.run(owner, () => Promise.reject(new Error("broken")));
    const next = run("b");
    expect(failing).rejects.toThrow("broken");
    await end("b");
    expect(await next).toBe("b");
  });

  test("never runs more than so many at once, and every job comes to its turn or is told", async () => {
    const job = fc.record({ client: fc.nat(3), trusted: fc.boolean(), steps: fc.nat(4), leaves: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(job, { maxLength: 60 }), fc.integer({ min: 1, max: 5 }), async (jobs, most) => {
        const queue = new FairQueue({ running: most, waiting: 20, waitingPerClient: 8, waitMs: 60_000 });
        let running = 0;
        const outcomes = jobs.map(({ client, trusted, steps, leaves }, at) =>
          queue.run(
            { client: `${client}`, network: `${client % 2}`, trusted, isGone: () => leaves, watchGone: () => {} },
            async () => {
              running += 1;
              expect(running).toBeLessThanOrEqual(most);
              for (let step = 0; step < steps; step++) await Promise.resolve();
              running -= 1;
              return at;
            },
          ),
        );
        const found = await Promise.all(outcomes);
        for (const [at, outcome] of found.entries())
          expect([at, "busy", ...(jobs[at]?.leaves === true ? ["gone"] : [])]).toContain(outcome);
        expect(queue.waiting).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
