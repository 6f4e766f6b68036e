import { describe, expect, test } from "bun:test";
import { createSidecarApp } from "../../../src/sidecar/sidecar-app.ts";
import { TokenThrottle } from "../../../src/sidecar/token-throttle.ts";
import { grantAll } from "../../support/sidecar-tokens.ts";

function makeThrottle() {
  const clock = { now: 1_000_000 };
  const throttle = new TokenThrottle(() => clock.now);
  const fail = (peer: string, times: number) => {
    for (let time = 0; time < times; time += 1) throttle.fail(peer);
  };
  return { throttle, clock, fail };
}

describe("who guesses tokens", () => {
  test("has ten tries at once, and then one in five seconds", () => {
    const { throttle, clock, fail } = makeThrottle();
    fail("a", 9);
    expect(throttle.delay("a")).toBe(0);
    fail("a", 1);
    expect(throttle.delay("a")).toBe(5000);
    clock.now += 4999;
    expect(throttle.delay("a")).toBe(1);
    clock.now += 1;
    expect(throttle.delay("a")).toBe(0);
    fail("a", 1);
    expect(throttle.delay("a")).toBe(5000);
  });

  test("delays no other peer", () => {
    const { throttle, fail } = makeThrottle();
    fail("a", 1000);
    expect(throttle.delay("b")).toBe(0);
  });

  test("is slowed down as well when the guesses come from many peers, but nobody who never was wrong", () => {
    const { throttle, clock, fail } = makeThrottle();
    for (let peer = 0; peer < 200; peer += 1) fail(`peer ${peer}`, 1);
    expect(throttle.delay("peer 0")).toBeGreaterThan(0);
    expect(throttle.delay("peer 199")).toBeGreaterThan(0);
    expect(throttle.delay("another")).toBe(0);
    clock.now += 60_000;
    expect(throttle.delay("peer 0")).toBe(0);
  });

  test("is forgotten once the allowance is whole again", () => {
    const { throttle, clock, fail } = makeThrottle();
    fail("a", 3);
    clock.now += 15_000;
    expect(throttle.delay("a")).toBe(0);
    expect(throttle.size).toBe(0);
  });

  test("takes a bounded part of the memory, whatever number of addresses there are", () => {
    const { throttle, fail } = makeThrottle();
    fail("known", 10);
    for (let peer = 0; peer < 5000; peer += 1) {
      fail(`peer ${peer}`, 1);
      if (peer % 500 === 0) fail("known", 1);
    }
    expect(throttle.size).toBe(1024);
    expect(throttle.delay("known")).toBeGreaterThan(0);
  });
});

describe("the sidecar, while tokens are guessed", () => {
  function makeApp() {
    const clock = { now: 0 };
    const app = createSidecarApp(
      {
        readiness: () => ({ ready: true }),
        effectiveConfig: () => ({}),
        metricsText: () => "",
        tunnels: () => [],
        kill: () => 0,
      },
      { tokens: grantAll("right"), throttle: new TokenThrottle(() => clock.now) },
    );
    const ask = (peer: string, token?: string) =>
      app.request("/config", { headers: token === undefined ? {} : { Authorization: `Bearer ${token}` } }, { peer });
    return { ask, clock };
  }

  test("says when the peer is listened to again, and keeps from it whether it was right", async () => {
    const { ask, clock } = makeApp();
    for (let time = 0; time < 10; time += 1) expect((await ask("a", "wrong")).status).toBe(401);
    for (const token of ["wrong", "right"]) {
      const response = await ask("a", token);
      expect(response.status).toBe(429);
      expect(response.headers.get("Retry-After")).toBe("5");
    }
    expect((await ask("a")).status).toBe(401);
    expect((await ask("b", "right")).status).toBe(200);
    clock.now += 5000;
    expect((await ask("a", "right")).status).toBe(200);
  });

  test("counts no request without a token, and no right one", async () => {
    const { ask } = makeApp();
    for (let time = 0; time < 30; time += 1) {
      expect((await ask("a")).status).toBe(401);
      expect((await ask("a", "right")).status).toBe(200);
    }
  });
});
