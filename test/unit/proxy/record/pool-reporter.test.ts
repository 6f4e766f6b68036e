import { describe, expect, test } from "bun:test";
import { PoolReporter } from "../../../../src/proxy/record/pool-reporter.ts";
import type { HealthState } from "../../../../src/proxy/upstream/member-health.ts";

/** A reporter with a clock in the hands of a test. */
function makeReporter() {
  const told: string[] = [];
  let now = 0;
  let due: { callback: () => void; at: number } | undefined;
  const reporter = new PoolReporter((message) => told.push(message), {
    now: () => now,
    later: (callback, ms) => (due = { callback, at: now + ms }),
  });
  return {
    reporter,
    told,
    change: (member: string, state: HealthState, reason: string, more: { failures?: number; forMs?: number } = {}) =>
      reporter.report({ kind: "health", pool: "exits", member, state, reason, ...more }),
    pass(ms: number) {
      const end = now + ms;
      while (due !== undefined && due.at <= end) {
        const { callback, at } = due;
        due = undefined;
        now = at;
        callback();
      }
      now = end;
    },
    isArmed: () => due !== undefined,
  };
}

describe("messages about the health of members", () => {
  test("say what changed and why, once", () => {
    const { change, told } = makeReporter();
    change("a", "ejected", "connection_refused", { failures: 3, forMs: 10_000 });
    change("a", "healthy", "the trial went well");
    change("b", "ejected", "answered 429", { failures: 0, forMs: 30_000 });
    change("b", "disabled", "by an operator");
    change("c", "down", "connection_timeout");
    expect(told).toEqual([
      "Upstream exits: a is ejected for 10 s after 3 failures (connection_refused).",
      "Upstream exits: a is healthy (the trial went well).",
      "Upstream exits: b is ejected for 30 s (answered 429).",
      "Upstream exits: b is disabled (by an operator).",
      "Upstream exits: c is down (connection_timeout).",
    ]);
  });

  test("are bounded for a member that changes all the time, and the last one holds", () => {
    const { change, told, pass, isArmed } = makeReporter();
    for (let at = 0; at < 50; at++) {
      change("a", "ejected", "connection_refused", { failures: 1, forMs: 50 });
      change("a", "healthy", "the trial went well");
    }
    change("a", "ejected", "connection_reset", { failures: 1, forMs: 600_000 });
    expect(told).toHaveLength(4);
    pass(10_000);
    expect(told.slice(4)).toEqual([
      "Upstream exits: a is ejected for 600 s (connection_reset). Its health changed 97 times since the last message.",
    ]);
    pass(60_000);
    expect(told).toHaveLength(5);
    expect(isArmed()).toBe(false);
    change("a", "healthy", "the trial went well");
    expect(told.at(-1)).toBe("Upstream exits: a is healthy (the trial went well).");
  });

  test("are bounded when a thousand members change at once, and say so", () => {
    const { change, told, pass } = makeReporter();
    for (let at = 0; at < 1000; at++) change(`m${at}`, "down", "connection_timeout");
    expect(told).toHaveLength(64);
    pass(10_000);
    expect(told).toHaveLength(65);
    expect(told.at(-1)).toStartWith("Upstreams: 936 more changes of health were not told");
  });
});

test("messages about sessions that move are bounded for each pair of members", () => {
  const { reporter, told, pass } = makeReporter();
  const move = (to: string) => reporter.report({ kind: "moved", pool: "exits", from: "a", to });
  for (let at = 0; at < 20; at++) move("b");
  move("c");
  pass(10_000);
  move("b");
  expect(told).toEqual([
    "Upstream exits: a session moved from a to b.",
    "Upstream exits: a session moved from a to c.",
    "Upstream exits: a session moved from a to b. 19 more moved before it.",
  ]);
});
