import { expect, test } from "bun:test";
import { formatJsonLine } from "../../../src/proxy/record/access-line.ts";
import { ACCESS_FIELDS } from "../../../src/proxy/record/access-fields.ts";
import { buildAccessRecord } from "../../../src/proxy/record/access-record.ts";
import { listMetrics, OPERATIONS_FILE, writeOperations } from "../../support/write-operations-reference.ts";
import { makeRequestRecord } from "../../support/make-record.ts";
import { writeMetricsText } from "../../../src/sidecar/metrics-text.ts";
import { LiveTable } from "../../../src/proxy/record/live-table.ts";
import { Metrics } from "../../../src/proxy/record/metrics.ts";

/** The text without what the formatter changes: the width of the columns of tables. */
function withoutWidths(text: string): string {
  return text.replaceAll(/ +\|/g, " |").replaceAll(/\| -+ /g, "| --- ");
}

test("docs/operations.md lists what the code has: run `bun run docs` when it does not", async () => {
  const text = await Bun.file(OPERATIONS_FILE).text();
  expect(withoutWidths(text)).toBe(withoutWidths(await writeOperations(text)));
});

test("the lists have every metric that /metrics has, and every field of an access line in its order", async () => {
  const parts = {
    metrics: new Metrics(),
    live: new LiveTable(),
    accessLog: { dropped: 0 },
    auth: { hits: 0, misses: 0 },
  };
  const text = writeMetricsText({ version: "0", ...parts });
  const told = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => name);
  const listed = new Set((await listMetrics()).map(({ name }) => name));
  expect(told.length).toBeGreaterThan(30);
  expect(told.filter((name) => name !== undefined && !listed.has(name))).toEqual([]);
  const line = JSON.parse(formatJsonLine(buildAccessRecord(makeRequestRecord(), 0))) as Record<string, unknown>;
  expect(Object.keys(line)).toEqual(Object.keys(ACCESS_FIELDS).filter((field) => field in line));
});
