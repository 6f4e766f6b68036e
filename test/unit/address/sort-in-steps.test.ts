import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { sortInSteps } from "../../../src/address/sort-in-steps.ts";

/** The order of keys, and the most comparisons between two pauses. */
function sort(keys: readonly number[]): { readonly order: number[]; readonly longest: number } {
  let longest = 0;
  let comparisons = 0;
  const steps = sortInSteps(keys.length, (a, b) => {
    comparisons += 1;
    return (keys[a] as number) - (keys[b] as number);
  });
  for (;;) {
    const step = steps.next();
    longest = Math.max(longest, comparisons);
    comparisons = 0;
    if (step.done === true) return { order: [...step.value], longest };
  }
}

const byKey = (keys: readonly number[]): number[] =>
  [...keys.keys()].sort((a, b) => (keys[a] as number) - (keys[b] as number) || a - b);

describe("sortInSteps()", () => {
  test("sorts as a stable sort does, whatever the keys and their number", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(50), { maxLength: 3000, size: "max" }), (keys) => {
        expect(sort(keys).order).toEqual(byKey(keys));
      }),
      { numRuns: 200 },
    );
  });

  const count = 100_000;
  test.each([
    ["in no order", (at: number) => Math.imul(at, 2_654_435_761) >>> 0],
    ["ascending", (at: number) => at],
    ["descending", (at: number) => -at],
    ["all equal", () => 7],
  ])("compares some thousand times between two pauses, %s", (_, key) => {
    const keys = Array.from({ length: count }, (__, at) => key(at));
    const { order, longest } = sort(keys);
    expect(order).toEqual(byKey(keys));
    expect(longest).toBeLessThan(5000);
  });
});
