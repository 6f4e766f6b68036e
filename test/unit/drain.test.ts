import { describe, expect, test } from "bun:test";
import { describeDrain, Drain } from "../../src/drain.ts";
import { compileForTest } from "../support/compile-for-test.ts";
import { makeGate } from "../support/make-gate.ts";
import { waitFor } from "../support/wait-for.ts";

describe("describeDrain()", () => {
  const hour = 3_600_000;
  test.each([
    [{ tunnels: 12, connections: 12, oldestMs: 3 * hour, leftMs: 4_100 }, "12 tunnels, oldest 3 h, 4.1 s left"],
    [
      { tunnels: 1, connections: 3, oldestMs: 950, leftMs: 42_000 },
      "1 tunnel and 2 other connections, oldest 950 ms, 42 s left",
    ],
    [{ tunnels: 0, connections: 1, leftMs: 5 * 60_000 }, "1 other connection, 5 min left"],
    [{ tunnels: 0, connections: 0 }, "0 tunnels"],
    [{ tunnels: 2, connections: 2, oldestMs: 72 * hour, leftMs: 0 }, "2 tunnels, oldest 3 d, 0 ms left"],
  ] as const)("words %p", (state, text) => {
    expect(describeDrain({ phase: "draining", ...state })).toBe(text);
  });
});

/** A drain of a gate without connections, which lasts an hour. */
function startDrain() {
  const told: string[] = [];
  const drain = new Drain({
    gate: makeGate(compileForTest({}).runtime),
    times: () => ({ lameDuckMs: 3_600_000, drainMs: 3_600_000 }),
    tell: (message) => told.push(message),
    close: () => Promise.resolve(),
    progressMs: 5,
  });
  return { drain, told };
}

describe("a drain", () => {
  test("says every few seconds what is left, and how much time", async () => {
    const { drain, told } = startDrain();
    drain.begin("SIGTERM");
    await waitFor(() => told.length >= 4, "some messages");
    for (const line of told.slice(1)) expect(line).toBe("Still accepting: 0 tunnels, 60 min left.");
    expect(drain.cancel("DELETE /drain")).toEqual({ ok: true });
    expect(drain.phase).toBe("serving");
    await drain.stop();
  });

  test("that a service manager began is not taken back, and one before it is not either", async () => {
    const { drain } = startDrain();
    drain.begin("POST /drain");
    drain.begin("SIGTERM", 1000, true);
    expect(drain.cancel("DELETE /drain")).toMatchObject({
      ok: false,
      reason: expect.stringContaining("start the service again"),
    });
    expect(drain.phase).toBe("lame_duck");
    await drain.stop();
  });
});
