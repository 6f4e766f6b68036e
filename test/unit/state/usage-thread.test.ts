import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { UsageThread } from "../../../src/state/usage-thread.ts";
import type { UsageOrder } from "../../../src/state/usage-worker.ts";

test("an order that waits for another is not carried out once the thread has ended", async () => {
  const folder = mkdtempSync(join(tmpdir(), "usage-thread-"));
  const thread = new UsageThread();
  try {
    const write: UsageOrder = {
      kind: "write",
      path: join(folder, "usage.db"),
      rows: [["ci", 20_000, 800, 40, 1]],
      wanted: [],
      urgent: false,
      day: 20_000,
      month: 20_000,
      known: [],
    };
    const orders = [write, write, { kind: "close" } as const].map((order) => thread.ask(order));
    await Promise.resolve();
    thread.end();
    const ended = { kind: "failed", code: "ended" } as const;
    expect(await Promise.all(orders)).toEqual([ended, ended, ended]);
    expect(await thread.ask(write)).toEqual(ended);
  } finally {
    thread.end();
    rmSync(folder, { recursive: true, force: true });
  }
});
