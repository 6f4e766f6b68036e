import { describe, expect, test } from "bun:test";
import { SpanQueue } from "../../../src/telemetry/span-queue.ts";

describe("SpanQueue", () => {
  test("loses the oldest when there are too many bytes, and says how many spans", () => {
    let lost = 0;
    const queue = new SpanQueue(10, (spans) => (lost += spans));
    queue.push(["aaa", "bbb"]);
    queue.push(["ccc"]);
    expect([queue.bytes, lost]).toEqual([9, 0]);
    queue.push(["ddd"]);
    expect([queue.bytes, lost]).toEqual([6, 2]);
    expect(queue.take(Infinity).flatMap(({ spans }) => spans)).toEqual(["ccc", "ddd"]);
    expect([queue.bytes, queue.isEmpty]).toEqual([0, true]);
  });

  test("gives whole requests, at least one, and takes back what was not sent, in its order", () => {
    const queue = new SpanQueue(100, () => {});
    for (const span of ["aaaa", "bbbb", "cccc"]) queue.push([span]);
    const first = queue.take(1);
    expect(first.flatMap(({ spans }) => spans)).toEqual(["aaaa"]);
    queue.giveBack(first);
    expect(queue.take(8).flatMap(({ spans }) => spans)).toEqual(["aaaa", "bbbb"]);
    expect(queue.bytes).toBe(4);
  });

  test("loses a request that is larger than all of it", () => {
    let lost = 0;
    const queue = new SpanQueue(3, (spans) => (lost += spans));
    queue.push(["aaaa", "b"]);
    expect([queue.isEmpty, queue.bytes, lost]).toEqual([true, 0, 2]);
  });
});
