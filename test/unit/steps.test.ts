import { describe, expect, test } from "bun:test";
import { isStep, runAtOnce, runInTurns, type Steps } from "../../src/steps.ts";

/** Adds numbers up, each for some milliseconds. */
function* addSlowly(numbers: readonly number[], ms: number): Steps<number> {
  let sum = 0;
  for (const number of numbers) {
    const until = performance.now() + ms;
    while (performance.now() < until);
    sum += number;
    yield;
  }
  return sum;
}

describe("work in steps", () => {
  test("has the same result at once and in turns, with a turn for others after each slice of milliseconds", async () => {
    let turns = 0;
    const turn = async () => void turns++;
    expect(runAtOnce(addSlowly([1, 2, 3], 5))).toBe(6);
    expect(await runInTurns(addSlowly([1, 2, 3], 5), turn)).toBe(6);
    expect(turns).toBe(3);
  });

  test("throws what a step throws", async () => {
    const failing = function* (): Steps<void> {
      yield;
      throw new Error("planted");
    };
    expect(() => runAtOnce(failing())).toThrow("planted");
    await expect(runInTurns(failing(), async () => {})).rejects.toThrow("planted");
  });

  test("pauses once in so many items of a list", () => {
    expect(Array.from({ length: 100 }, (_, at) => at).filter(isStep)).toEqual([31, 63, 95]);
  });
});
