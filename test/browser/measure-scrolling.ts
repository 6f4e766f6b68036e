/**
 * Scrolls the table of tunnels with 5,000 rows that move, and tells how many frames
 * Chromium drew in time: `bun test/browser/measure-scrolling.ts [--rows N] [--trace FILE]`.
 * The trace can be opened in chrome://tracing or https://ui.perfetto.dev.
 */
import { parseArgs } from "node:util";
import { Browser } from "../support/browser.ts";
import { moveRows, sampleRow, sampleRows } from "../support/page-samples.ts";
import { startPageStand } from "../support/page-stand.ts";
import { openPage } from "../support/page-tab.ts";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "5000" },
    seconds: { type: "string", default: "10" },
    trace: { type: "string" },
  },
});
const count = Number(values.rows);

/** A frame of 60 in a second, and what a clock may be off. */
const FRAME_MS = 1000 / 60 + 1;

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly dur?: number;
  /** Microseconds of CPU. */
  readonly tdur?: number;
  readonly tid: number;
  readonly ts: number;
  readonly args?: { readonly chrome_frame_reporter?: { readonly state?: string; readonly frame_type?: string } };
}

let second = 0;
let next = count + 1;
await using browser = await Browser.start();
await using stand = await startPageStand({
  rows: sampleRows(count),
  turn(rows) {
    second += 1;
    moveRows(rows, second);
    // Fifty tunnels end in a second, and as many begin.
    const [...ids] = [...rows.keys()].slice(0, 50);
    for (const id of ids) stand.rows.delete(id);
    for (const _ of ids) {
      const row = { ...sampleRow(next), age_ms: 0 };
      stand.rows.set(row.id, row);
      next += 1;
    }
  },
});
const tab = await openPage(browser, stand.url, { hash: "#/tunnels?sort=-rate", width: 1440, height: 900 });
await tab.until(`document.querySelector("#tunnel-rows").getAttribute("aria-rowcount") === "${count + 1}"`);
await Bun.sleep(3000);

const events: TraceEvent[] = [];
tab.on("Tracing.dataCollected", (params) => void events.push(...(params["value"] as TraceEvent[])));
const complete = new Promise((resolve) => tab.on("Tracing.tracingComplete", resolve));
await tab.send("Tracing.start", {
  transferMode: "ReportEvents",
  traceConfig: {
    includedCategories: [
      "cc",
      "benchmark",
      "toplevel",
      "devtools.timeline",
      "disabled-by-default-devtools.timeline.frame",
    ],
  },
});
// 50 pixels a frame are 3,000 a second: a hand in a hurry, down and up in turn.
const gaps = await tab.evaluate<number[]>(`(async () => {
  const box = document.querySelector("#tunnel-rows");
  const gaps = [];
  let last = await new Promise(requestAnimationFrame);
  const end = last + ${Number(values.seconds) * 1000};
  let step = 50;
  while (last < end) {
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - last);
    box.scrollTop += step;
    if (box.scrollTop <= 0 || box.scrollTop >= box.scrollHeight - box.clientHeight - 1) step = -step;
    last = now;
  }
  return gaps;
})()`);
await tab.send("Tracing.end");
await complete;
if (values.trace !== undefined) await Bun.write(values.trace, JSON.stringify({ traceEvents: events }));

const sorted = gaps.toSorted((one, other) => one - other);
const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
const total = gaps.reduce((sum, gap) => sum + gap, 0);
const main = events.find(({ name }) => name === "FireAnimationFrame")?.tid;
const updates = events.filter(
  ({ name, tid, ph }) => name === "ProxyMain::BeginMainFrame" && tid === main && ph === "X",
);
const costs = updates.map(({ tdur = 0 }) => tdur / 1000).toSorted((one, other) => one - other);
const states = new Map<string, number>();
for (const { name, ph, args } of events) {
  const state = args?.chrome_frame_reporter?.state;
  if (name !== "PipelineReporter" || ph !== "b" || state === undefined) continue;
  states.set(state, (states.get(state) ?? 0) + 1);
}
console.log(
  `${count} rows, ${gaps.length} frames in ${(total / 1000).toFixed(1)} s: ${((1000 * gaps.length) / total).toFixed(1)} a second`,
);
console.log(
  `between frames: p50 ${at(0.5).toFixed(1)} ms, p99 ${at(0.99).toFixed(1)} ms, longest ${at(1).toFixed(1)} ms`,
);
console.log(`in time: ${((100 * gaps.filter((gap) => gap <= FRAME_MS).length) / gaps.length).toFixed(1)} %`);
const costAt = (share: number): string => (costs[Math.floor(share * (costs.length - 1))] ?? 0).toFixed(1);
console.log(`CPU of the page for a frame, of ${FRAME_MS.toFixed(1)} ms: p50 ${costAt(0.5)} ms, p99 ${costAt(0.99)} ms`);
console.log(`frames by the compositor: ${[...states].map(([state, number]) => `${number} ${state}`).join(", ")}`);
