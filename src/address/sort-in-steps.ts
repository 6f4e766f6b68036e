/** Items that are sorted at once, and that are merged between two pauses. */
const RUN = 256;
const MERGED = 1024;

/**
 * The numbers from 0 to `count - 1` in the order of `compare`; equal ones ascending. It pauses
 * at each `yield`, so that a long list holds nobody up: between two pauses are at most some
 * thousand comparisons. What is in order already is only copied.
 */
export function* sortInSteps(
  count: number,
  compare: (a: number, b: number) => number,
): Generator<undefined, Uint32Array, undefined> {
  let order = new Uint32Array(count);
  for (let at = 0; at < count; at++) order[at] = at;
  for (let from = 0; from < count; from += RUN) {
    order.subarray(from, from + RUN).sort((a, b) => compare(a, b) || a - b);
    yield;
  }
  let merged = new Uint32Array(count);
  for (let width = RUN; width < count; width *= 2) {
    for (let from = 0; from < count; from += 2 * width) {
      const middle = Math.min(from + width, count);
      const end = Math.min(middle + width, count);
      if (middle === end || compare(order[middle - 1] as number, order[middle] as number) <= 0) {
        merged.set(order.subarray(from, end), from);
        yield;
        continue;
      }
      let left = from;
      let right = middle;
      for (let at = from; at < end; at++) {
        const isLeft = right === end || (left < middle && compare(order[left] as number, order[right] as number) <= 0);
        merged[at] = order[isLeft ? left++ : right++] as number;
        if (at % MERGED === 0) yield;
      }
    }
    [order, merged] = [merged, order];
  }
  return order;
}
