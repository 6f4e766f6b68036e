import { expect, test } from "bun:test";
import { explainLimits } from "../../../src/explain/explain-limits.ts";
import { compileForTest } from "../../support/compile-for-test.ts";

function explain(user: string | undefined, limits: Record<string, unknown>, own?: Record<string, unknown>) {
  const users = [{ name: "ci", password: "one", ...(own && { limits: own }) }];
  const state = { redis: "redis://127.0.0.1:6379" };
  return explainLimits(compileForTest({ listen: ["127.0.0.1:0"], users, limits, state }).runtime.limits, { user })[0];
}

const limits = {
  rate: "500/s",
  perUser: { connections: 200, rate: "20/m", bandwidth: { up: "5MB/s", down: "20MB/s" } },
  perClient: { rate: "7/h", burst: "1h", prefix: { v4: 24 } },
  perTarget: { connections: 500, rate: "100/s", burst: "2s" },
};

test("the limits of a connection are said in the order in which they are asked", () => {
  expect(explain("ann", limits)?.value).toBe(
    "perClient.rate 7/h, rate 500/s, perUser.connections 200, perUser.rate 20/m, perUser.bandwidth up 5MB/s, down 20MB/s, perTarget.connections 500, perTarget.rate 100/s (200 at once)",
  );
});

test("limits of a user's own go before those of all users", () => {
  expect(explain("ci", limits, { rate: "9/s" })?.more).toMatchObject({
    limits: { "perUser.rate": "9/s", "perUser.connections": 200, rate: "500/s" },
  });
});

test("nobody has the limits of users, and nothing is said where nothing is limited", () => {
  expect(explain(undefined, { perUser: { rate: "1/s" } })).toBeUndefined();
  expect(explain("ci", { connections: 9 })).toBeUndefined();
});
