import { describe, expect, test } from "bun:test";
import { LiveModel } from "../../../../src/sidecar/page/ui/live-model.ts";
import type { LivePoint, SeriesAnswer, TunnelRow } from "../../../../src/sidecar/page/ui/wire.ts";
import { sampleRow } from "../../../support/page-samples.ts";

function pointOf(down: number): LivePoint {
  const none = { up: 0, connects: 0, requests: 0, refused: 0, connections: 0, tunnels: 0 };
  return { ...none, at: 0, down, dial_p50_ms: null, dial_p99_ms: null };
}

function seriesOf(last: number, down: number[]): SeriesAnswer {
  const zeros = down.map(() => 0);
  const nulls = down.map(() => null);
  return {
    step_ms: 1000,
    from: "2026-11-28T12:00:00.000Z",
    last,
    down,
    up: zeros,
    connects: zeros,
    requests: zeros,
    refused: zeros,
    connections: zeros,
    tunnels: zeros,
    dial_p50_ms: nulls,
    dial_p99_ms: nulls,
  };
}

const row = (id: string, bytes: number, age = 1000): TunnelRow => ({
  ...sampleRow(1),
  id,
  age_ms: age,
  bytes_up: 0,
  bytes_down: bytes,
});
const quiet = { points: [], add: [], move: [], gone: [] };

describe("the series of the page", () => {
  test("goes on where the answer of the series ends, without a gap and without a step twice", () => {
    const model = new LiveModel();
    expect(model.begin({ v: 1, step: 9, point: pointOf(9), total: 0, rows: [] }, 0)).toBe(true);
    // The stream is ahead of the answer that was asked for meanwhile.
    model.advance({ ...quiet, step: 10, points: [pointOf(10)], total: 0 }, 1000);
    model.advance({ ...quiet, step: 11, points: [pointOf(11)], total: 0 }, 2000);
    model.takeSeries(seriesOf(10, [8, 9, 10]));
    expect(model.series?.down).toEqual([8, 9, 10, 11]);
    expect(model.series?.until).toBe(Date.parse("2026-11-28T12:00:04.000Z"));
    expect(model.advance({ ...quiet, step: 13, points: [pointOf(12), pointOf(13)], total: 0 }, 4000)).toBe(false);
    expect(model.series?.down).toEqual([8, 9, 10, 11, 12, 13]);
  });

  test("is asked for until it is there", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 3, point: pointOf(3), total: 0, rows: [] }, 0);
    expect(model.advance({ ...quiet, step: 4, points: [pointOf(4)], total: 0 }, 1000)).toBe(true);
    model.takeSeries(seriesOf(4, [3, 4]));
    expect(model.advance({ ...quiet, step: 5, points: [pointOf(5)], total: 0 }, 2000)).toBe(false);
  });

  test("is asked for again after a gap", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 3, point: pointOf(3), total: 0, rows: [] }, 0);
    model.takeSeries(seriesOf(3, [1, 2, 3]));
    expect(model.begin({ v: 1, step: 3, point: pointOf(3), total: 0, rows: [] }, 0)).toBe(false);
    expect(model.begin({ v: 1, step: 4, point: pointOf(4), total: 0, rows: [] }, 0)).toBe(false);
    expect(model.begin({ v: 1, step: 90, point: pointOf(90), total: 0, rows: [] }, 0)).toBe(true);
    model.takeSeries(seriesOf(90, [88, 89, 90]));
    expect(model.series?.down).toEqual([88, 89, 90]);
  });

  test("starts again with a proxy that did", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 500, point: pointOf(1), total: 0, rows: [] }, 0);
    model.takeSeries(seriesOf(500, [1]));
    expect(model.begin({ v: 1, step: 2, point: pointOf(7), total: 0, rows: [] }, 0)).toBe(true);
    model.takeSeries(seriesOf(2, [6, 7]));
    expect(model.series?.down).toEqual([6, 7]);
  });

  test("keeps 900 seconds", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 900, point: null, total: 0, rows: [] }, 0);
    model.takeSeries(
      seriesOf(
        900,
        Array.from({ length: 900 }, (_, at) => at),
      ),
    );
    model.advance({ ...quiet, step: 901, points: [pointOf(-1)], total: 0 }, 1000);
    expect([model.series?.down.length, model.series?.down[0], model.series?.down.at(-1)]).toEqual([900, 1, -1]);
  });
});

describe("the rows of the page", () => {
  test("have the bytes of the last tick, and a rate that follows them", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 1, point: null, total: 1, rows: [row("a", 0)] }, 0);
    model.advance({ ...quiet, step: 2, points: [pointOf(0)], total: 1, move: [["a", 0, 8000]] }, 1000);
    model.advance({ ...quiet, step: 3, points: [pointOf(0)], total: 1, move: [["a", 500, 16_000]] }, 2000);
    expect(model.rows.get("a")).toMatchObject({ up: 500, down: 16_000, rateDown: 6000, rateUp: 250 });
    for (let at = 3; at < 30; at += 1)
      model.advance({ ...quiet, step: at + 1, points: [pointOf(0)], total: 1 }, at * 1000);
    expect(model.rows.get("a")).toMatchObject({ rateDown: 0, rateUp: 0 });
  });

  test("come and go, and change when more than bytes has changed", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 1, point: null, total: 2, rows: [row("a", 0), row("b", 0)] }, 0);
    const changed = { ...row("b", 10), user: "zoe" };
    model.advance({ ...quiet, step: 2, total: 2, add: [changed, row("c", 0)], gone: ["a"] }, 1000);
    expect([...model.rows.keys()].sort()).toEqual(["b", "c"]);
    expect(model.rows.get("b")).toMatchObject({ down: 10, facts: { user: "zoe" }, since: -1000 });
    expect(model.total).toBe(2);
  });

  test("stay after a gap until the new table is whole, with what is known of them", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 1, point: null, total: 3, rows: [row("a", 0), row("b", 0), row("c", 0)] }, 0);
    model.begin({ v: 1, step: 20, point: null, total: 2, rows: [row("b", 10_000)] }, 10_000);
    expect([...model.rows.keys()].sort()).toEqual(["a", "b", "c"]);
    expect(model.rows.get("b")?.rateDown).toBe(500);
    model.advance({ ...quiet, step: 20, total: 2, add: [row("d", 0)] }, 10_010);
    expect([...model.rows.keys()].sort()).toEqual(["b", "d"]);
  });

  test("are gone after a gap when the proxy has none any more", () => {
    const model = new LiveModel();
    model.begin({ v: 1, step: 9, point: null, total: 1, rows: [row("a", 0)] }, 0);
    model.begin({ v: 1, step: 1, point: null, total: 0, rows: [] }, 10_000);
    expect(model.rows.size).toBe(0);
  });
});
