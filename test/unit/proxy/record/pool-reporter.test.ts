import { describe, expect, test } from "bun:test";
import { PoolReporter } from "../../../../src/proxy/record/pool-reporter.ts";

function createReporter() {
  const clock = { now: 0 };
  const messages: string[] = [];
  return {
    clock,
    messages,
    reporter: new PoolReporter(
      (message) => messages.push(message),
      () => clock.now,
    ),
  };
}

const ejected = {
  kind: "health",
  pool: "exits",
  member: "a:1",
  state: "ejected",
  reason: "connection_refused",
} as const;
const healthy = { ...ejected, state: "healthy", reason: "the trial went well" } as const;

describe("PoolReporter", () => {
  test("tells every change of health, so that the last message is the last state", () => {
    const { messages, reporter } = createReporter();
    for (const event of [ejected, healthy, ejected]) reporter.report(event);
    expect(messages).toEqual([
      "Upstream exits: a:1 is ejected (connection_refused).",
      "Upstream exits: a:1 is healthy (the trial went well).",
      "Upstream exits: a:1 is ejected (connection_refused).",
    ]);
  });

  test("does not flood the log, and says how much was left out", () => {
    const { clock, messages, reporter } = createReporter();
    for (let at = 0; at < 10_000; at++) reporter.report(ejected);
    expect(messages.length).toBeLessThan(100);
    clock.now = 10_000;
    reporter.report(healthy);
    expect(messages.at(-1)).toMatch(
      /^Upstream exits: a:1 is healthy .* 9936 messages about other things were left out\.$/,
    );
  });

  test("counts sessions that move between the same members", () => {
    const { clock, messages, reporter } = createReporter();
    const moved = { kind: "moved", pool: "exits", from: "a:1", to: "b:1" } as const;
    for (let at = 0; at < 100; at++) reporter.report(moved);
    clock.now = 10_000;
    reporter.report(moved);
    expect(messages).toEqual([
      "Upstream exits: a session of a:1 is led to b:1 now.",
      "Upstream exits: a session of a:1 is led to b:1 now. So were 99 sessions before it.",
    ]);
  });
});
