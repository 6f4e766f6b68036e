import { describe, expect, test } from "bun:test";
import { EventStream } from "../../../../../src/proxy/record/events/event-stream.ts";
import { LimitEvents } from "../../../../../src/proxy/record/events/limit-events.ts";
import { makeIp } from "../../../../support/make-policy.ts";
import { makeRequestRecord } from "../../../../support/make-record.ts";

function makeLimits() {
  const stream = new EventStream({ origin: "o" });
  const waiting: (() => void)[] = [];
  const limits = new LimitEvents(stream, (callback) => void waiting.push(callback));
  let seen = 0;
  return {
    reach: (limit: string, facts: { user?: string; client?: string } = {}) =>
      limits.reached(
        makeRequestRecord({
          failure: { detail: "too_many_connections", limit },
          user: facts.user,
          ...(facts.client !== undefined && { client: makeIp(facts.client) }),
        }),
      ),
    /** A second goes by. False when nobody waits for it. */
    tick: () => {
      const [callback] = waiting.splice(0);
      callback?.();
      return callback !== undefined;
    },
    /** What was told since this was asked last. */
    told: (): Record<string, unknown>[] => {
      const events = stream.collect({}, "").events.slice(seen);
      seen += events.length;
      return events.map(({ json }) => {
        const { v: _, event, event_id: __, time: ___, detail, ...rest } = JSON.parse(json) as Record<string, unknown>;
        expect([event, detail]).toEqual(["limit", "too_many_connections"]);
        return rest;
      });
    },
  };
}

describe("LimitEvents", () => {
  test("tells a limit at once, then once a second with the number of requests, then no more", () => {
    const { reach, tick, told } = makeLimits();
    for (let request = 0; request < 100; request += 1) reach("perUser.connections", { user: "alice" });
    expect(told()).toEqual([{ limit: "perUser.connections", user: "alice", count: 1 }]);
    tick();
    expect(told()).toEqual([{ limit: "perUser.connections", user: "alice", count: 99 }]);
    tick();
    expect(told()).toEqual([]);
    expect(tick()).toBe(false);
    reach("perUser.connections", { user: "alice" });
    expect(told()).toEqual([{ limit: "perUser.connections", user: "alice", count: 1 }]);
  });

  test("counts each user and each client apart, and everybody together for a limit on all", () => {
    const { reach, told } = makeLimits();
    reach("perUser.connections", { user: "alice" });
    reach("perUser.connections", { user: "bob" });
    reach("perClient.rate", { user: "bob", client: "192.0.2.1" });
    reach("connections", { user: "alice", client: "192.0.2.1" });
    reach("connections", { user: "bob", client: "192.0.2.2" });
    expect(told()).toEqual([
      { limit: "perUser.connections", user: "alice", count: 1 },
      { limit: "perUser.connections", user: "bob", count: 1 },
      { limit: "perClient.rate", client: "192.0.2.1", count: 1 },
      { limit: "connections", count: 1 },
    ]);
  });

  test("tells 20 a second of a flood from many clients, keeps the number of each of 256, and loses none", () => {
    const { reach, tick, told } = makeLimits();
    for (let at = 0; at < 2000; at += 1)
      reach("perClient.connections", { client: `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}` });
    const all = told();
    expect(all.length).toBe(20);
    for (let second = 0; tick() && second < 100; second += 1) {
      const now = told();
      expect(now.length).toBeLessThanOrEqual(20);
      all.push(...now);
    }
    expect(all.reduce((sum, { count }) => sum + Number(count), 0)).toBe(2000);
    expect(all.filter(({ client }) => client === undefined).map(({ count }) => count)).toEqual([2000 - 256]);
  });
});
