import { expect, test } from "bun:test";
import { untilKnown } from "../../src/compose-fleet.ts";
import { QuotaClock } from "../../src/proxy/limit/quota-clock.ts";
import { Quotas } from "../../src/proxy/limit/quotas.ts";
import { Usage } from "../../src/proxy/limit/usage.ts";

/** Use that is kept in Redis alone. */
function makeParts() {
  const clocks = { wall: () => Date.parse("2026-11-28T12:00:00Z"), monotonic: () => 1000 };
  const usage = new Usage({ clock: new QuotaClock({ timeZone: "UTC", monthStart: 1 }, clocks) });
  return { usage, quotas: new Quotas(usage), keeper: undefined };
}

function makeRunning() {
  const scan = Promise.withResolvers<void>();
  const fleet = { exchanged: () => Promise.resolve(), fault: undefined };
  return { scan, running: { use: { scanned: scan.promise }, fleet, hasQuotas: true } };
}

test("use is known once everybody's use was looked at in the server that is awaited now", async () => {
  const parts = makeParts();
  const [before, now] = [makeRunning(), makeRunning()];
  // As a reload does that names another server.
  const known = [untilKnown(before.running, parts), untilKnown(now.running, parts)];
  before.scan.resolve();
  await known[0];
  expect(parts.quotas.knowledge.kind).toBe("awaited");
  now.scan.resolve();
  await known[1];
  expect(parts.quotas.knowledge.kind).toBe("whole");
});
