import { describe, expect, test } from "bun:test";
import { RequestTrace } from "../../../../src/proxy/trace/request-trace.ts";
import { Tracing } from "../../../../src/proxy/trace/tracing.ts";
import { createRandom } from "../../../support/seeded-random.ts";

function countTraced(sample: number, requests: number): number {
  const { next } = createRandom(7);
  const tracing = new Tracing({ sample, trustFrom: undefined, random: () => next() / 2 ** 32 });
  let traced = 0;
  for (let at = 0; at < requests; at += 1) if (tracing.begin() !== undefined) traced += 1;
  return traced;
}

describe("Tracing", () => {
  test("traces the part of requests that it is told", () => {
    expect(countTraced(0, 10_000)).toBe(0);
    expect(countTraced(1, 1000)).toBe(1000);
    expect(Math.abs(countTraced(0.01, 200_000) - 2000)).toBeLessThan(200);
    expect(Math.abs(countTraced(0.5, 20_000) - 10_000)).toBeLessThan(300);
  });
});

describe("RequestTrace", () => {
  test("keeps a bounded number of steps and stages", () => {
    const trace = new RequestTrace();
    for (let at = 0; at < 1000; at += 1) {
      trace.begin("connect", "127.0.0.1:1");
      trace.note("dial", at, at + 1);
    }
    expect([trace.steps.length, trace.omitted, trace.stages.length]).toEqual([64, 936, 64]);
  });

  test("tells the next hop nothing of a trace that began here", () => {
    expect(new RequestTrace().sentOn).toBeUndefined();
    const parent = { traceId: "a".repeat(32), spanId: "b".repeat(16), isSampled: true };
    const trace = new RequestTrace(parent);
    expect(trace.sentOn).toBe(`00-${parent.traceId}-${trace.forwardId}-01`);
  });
});
