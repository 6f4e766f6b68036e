import { describe, expect, test } from "bun:test";
import { Deadlines } from "../../../../src/net/conn/deadlines.ts";

/** Deadlines under a clock that stands still, and what expired by name. */
function makeStand() {
  const clock = { ms: 1000 };
  const expired: string[] = [];
  const deadlines = new Deadlines(() => clock.ms);
  const start = (name: string, ms: number): (() => void) => {
    const what = { expire: () => void expired.push(name) };
    const turn = deadlines.start(what, ms);
    return () => deadlines.stop(what, turn);
  };
  const lookAt = (ms: number): void => {
    clock.ms = ms;
    deadlines.look();
  };
  return { deadlines, expired, start, lookAt };
}

describe("Deadlines", () => {
  test("expire late rather than early, each once", () => {
    const { deadlines, expired, start, lookAt } = makeStand();
    start("a", 120);
    lookAt(1119);
    expect(expired).toEqual([]);
    lookAt(1150);
    expect(expired).toEqual(["a"]);
    lookAt(5000);
    expect(expired).toEqual(["a"]);
    expect(deadlines.size).toBe(0);
  });

  test("leave out what was stopped, and those alone", () => {
    const { deadlines, expired, start, lookAt } = makeStand();
    const stop = start("a", 10);
    start("b", 10);
    stop();
    stop();
    expect(deadlines.size).toBe(1);
    lookAt(1050);
    expect(expired).toEqual(["b"]);
  });

  test("can be stopped in vain, after they expired", () => {
    const { deadlines, start, lookAt } = makeStand();
    const stop = start("a", 10);
    start("b", 500);
    lookAt(1050);
    stop();
    expect(deadlines.size).toBe(1);
  });

  test("can be stopped and started by one that expires", () => {
    const { deadlines, expired, start, lookAt } = makeStand();
    const stops: (() => void)[] = [];
    const turn = deadlines.start(
      {
        expire: () => {
          expired.push("first");
          for (const stop of stops) stop();
          start("next", 0);
        },
      },
      10,
    );
    expect(turn).toBeGreaterThan(0);
    stops.push(start("second", 10));
    lookAt(1050);
    expect(expired).toEqual(["first"]);
    lookAt(1100);
    expect(expired).toEqual(["first", "next"]);
    expect(deadlines.size).toBe(0);
  });

  test("expire by themselves", async () => {
    const deadlines = new Deadlines();
    const { promise, resolve } = Promise.withResolvers<void>();
    deadlines.start({ expire: resolve }, 1);
    await promise;
    expect(deadlines.size).toBe(0);
  });

  test("come for all, also when one of them makes a mistake, which is reported", () => {
    const clock = { ms: 1000 };
    const bugs: unknown[] = [];
    const expired: string[] = [];
    const deadlines = new Deadlines(
      () => clock.ms,
      (error) => bugs.push(error),
    );
    const mistake = new Error("a mistake");
    const throwing = {
      expire: () => {
        throw mistake;
      },
    };
    deadlines.start({ expire: () => void expired.push("before") }, 10);
    deadlines.start(throwing, 10);
    deadlines.start({ expire: () => void expired.push("after") }, 10);
    clock.ms = 1100;
    deadlines.look();
    expect(expired).toEqual(["before", "after"]);
    expect(bugs).toEqual([mistake]);
    expect(deadlines.size).toBe(0);
  });
});
