import { describe, expect, test } from "bun:test";
import { WorkQueue } from "../../../../src/proxy/auth/work-queue.ts";

describe("WorkQueue", () => {
  test("runs so many at once, lets so many wait, turns the rest away", async () => {
    const queue = new WorkQueue(2, 1);
    const started: number[] = [];
    const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
    const run = (index: number) =>
      queue.run(async () => {
        started.push(index);
        await gates[index]?.promise;
        return index;
      });
    const results = [run(0), run(1), run(2), run(3)];
    expect(started).toEqual([0, 1]);
    expect(results[3]).toBeUndefined();
    gates[1]?.resolve();
    expect(await results[1]).toBe(1);
    gates[0]?.resolve();
    gates[2]?.resolve();
    expect(await results[2]).toBe(2);
    expect(started).toEqual([0, 1, 2]);
    const late = run(3);
    gates[3]?.resolve();
    expect(await late).toBe(3);
  });

  test("a job that fails gives its place to the next", async () => {
    const queue = new WorkQueue(1, 5);
    const failing = queue.run(() => Promise.reject(new Error("broken")));
    const next = queue.run(() => Promise.resolve("next"));
    expect(failing).rejects.toThrow("broken");
    expect(await next).toBe("next");
    expect(await queue.run(() => Promise.resolve("later"))).toBe("later");
  });

  test("many jobs never run more than so many at once and all come to their turn", async () => {
    const queue = new WorkQueue(3, 100);
    let running = 0;
    let most = 0;
    const jobs = Array.from({ length: 100 }, (_, index) =>
      queue.run(async () => {
        running += 1;
        most = Math.max(most, running);
        for (let turn = 0; turn < index % 5; turn += 1) await Promise.resolve();
        running -= 1;
        return index;
      }),
    );
    const results = await Promise.all(jobs);
    expect(results).toEqual(jobs.map((_, index) => index));
    expect(most).toBe(3);
  });
});
