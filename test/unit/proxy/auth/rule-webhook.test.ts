import { heapStats } from "bun:jsc";
import { expect, test } from "bun:test";
import { RuleWebhook } from "../../../../src/proxy/auth/rule-webhook.ts";

/** Bytes that are in use. */
function measureHeap(): number {
  Bun.gc(true);
  const { heapSize, extraMemorySize } = heapStats();
  return heapSize + extraMemorySize;
}

test("keeps answers without their questions, however long the paths of these are", async () => {
  await using server = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => Response.json({ allow: true }) });
  const url = `http://127.0.0.1:${server.port}/`;
  const webhook = new RuleWebhook({ url, headers: [], ca: undefined, timeoutMs: 10_000 }, 60_000);
  const ask = (at: number) => webhook.ask({ client: "192.0.2.1", path: `/${at}/${"x".repeat(60_000)}` });
  await ask(0);
  const before = measureHeap();
  for (let at = 1; at <= 500; at++) await ask(at);
  expect(measureHeap() - before).toBeLessThan(10_000_000);
  // It is at hand.
  expect(ask(500)).toEqual({ allow: true });
});
