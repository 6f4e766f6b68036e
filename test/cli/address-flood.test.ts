import { expect, test } from "bun:test";
import type { HastyReport } from "../support/active-clients.ts";
import { FLOOD_LIMITS, runFlood } from "../support/run-flood.ts";

/** Tunnels that a rate allows at most. */
function countAllowed({ seconds }: HastyReport): number {
  return Math.floor(FLOOD_LIMITS.ratePerMinute * (1 + seconds / 60));
}

test("a flood of client addresses takes bounded memory, and changes nothing for clients that are there", async () => {
  // More than there is room for in the table of use by client.
  const outcome = await runFlood(20_000);
  const { flood, beyondLimit, hasty, seldom, use, entries, samples, roundTrips } = outcome;
  expect(Object.fromEntries(flood.answers)).toEqual({ 200: 1000, 403: 19_000 });
  expect(flood.unanswered).toBe(0);
  expect(entries["client"]).toBe(16_384);
  expect(Math.max(...samples.map(({ rssBytes }) => rssBytes))).toBeLessThan(500_000_000);
  // Its connections were counted all the time, and none of them was lost.
  expect([...beyondLimit.keys()]).toEqual([429]);
  expect(roundTrips.during.length).toBeGreaterThan(10);
  expect(use.counted).toBe(use.moved);
  for (const report of [hasty, seldom]) {
    expect(report.allowed).toBeWithin(FLOOD_LIMITS.ratePerMinute, countAllowed(report) + 1);
    expect(report.refused).toBeGreaterThan(0);
  }
}, 300_000);
