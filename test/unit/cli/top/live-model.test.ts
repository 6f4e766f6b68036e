import { describe, expect, test } from "bun:test";
import { LiveModel } from "../../../../src/cli/top/live-model.ts";
import { makeRow } from "../../../support/fake-sidecar.ts";

function makePoint(more: object = {}) {
  const rest = {
    connects: 0,
    requests: 0,
    refused: 0,
    connections: 2,
    tunnels: 2,
    dial_p50_ms: null,
    dial_p99_ms: null,
  };
  return { at: 0, up: 10, down: 20, ...rest, ...more };
}

const tick = { step: 2, points: [makePoint()], total: 2, add: [], move: [], gone: [] };

function makeModel(): LiveModel {
  const model = new LiveModel();
  model.takeState({ v: 1, step: 1, point: null, total: 2, rows: [makeRow("a"), makeRow("b")] }, 100_000);
  return model;
}

const speed = (model: LiveModel, id: string) => [model.find(id)?.up, model.find(id)?.down];

describe("the table that /live tells", () => {
  test("has the speed of the seconds that passed", () => {
    const model = makeModel();
    expect(speed(model, "a")).toEqual([0, 0]);
    model.takeTick({ ...tick, move: [["a", 1500, 2000]] }, 101_000);
    expect(speed(model, "a")).toEqual([500, 0]);
    expect(speed(model, "b")).toEqual([0, 0]);
    // A slow reader is told two seconds at once.
    model.takeTick({ ...tick, points: [makePoint(), makePoint()], move: [["a", 1500, 4000]] }, 103_000);
    expect(speed(model, "a")).toEqual([0, 1000]);
    model.takeTick(tick, 104_000);
    expect(speed(model, "a")).toEqual([0, 0]);
    expect(model.find("a")).toMatchObject({ bytes_up: 1500, bytes_down: 4000 });
  });

  test("keeps the speed when no second passed, and of a row of which more is known", () => {
    const model = makeModel();
    model.takeTick({ ...tick, move: [["a", 1500, 2000]] }, 101_000);
    model.takeTick({ ...tick, points: [], add: [makeRow("a", { bytes_up: 1500, inside: "tls" })] }, 101_100);
    expect(speed(model, "a")).toEqual([500, 0]);
    expect(model.find("a")?.inside).toBe("tls");
    model.takeState({ v: 1, step: 3, point: null, total: 1, rows: [makeRow("a", { bytes_up: 1500 })] }, 101_200);
    expect(speed(model, "a")).toEqual([500, 0]);
    expect(model.size).toBe(1);
  });

  test("counts what a new row has moved in its first second, and not what an old one moved before", () => {
    const model = makeModel();
    const young = makeRow("young", { age_ms: 500, bytes_up: 700 });
    model.takeTick({ ...tick, total: 4, add: [young, makeRow("old")], gone: ["b"] }, 101_000);
    expect(speed(model, "young")).toEqual([700, 2000]);
    expect(speed(model, "old")).toEqual([0, 0]);
    expect(model.find("b")).toBeUndefined();
    expect([model.size, model.total]).toEqual([3, 4]);
    expect(model.find("young")?.since).toBe(100_500);
  });

  test("ignores the bytes of a row that it does not know", () => {
    const model = makeModel();
    model.takeTick({ ...tick, move: [["x", 1, 1]] }, 101_000);
    expect(model.find("x")).toBeUndefined();
  });

  test("keeps the last 15 minutes of the whole", () => {
    const model = makeModel();
    model.takeSeries({ up: Array.from({ length: 2000 }, (_, at) => at), down: [1] });
    expect([model.up.length, model.up.at(-1)]).toEqual([900, 1999]);
    model.takeTick(tick, 101_000);
    expect([model.up.length, model.up.at(-1), model.up[0]]).toEqual([900, 10, 1101]);
    expect(model.down).toEqual([1, 20]);
    expect(model.point).toMatchObject({ up: 10 });
  });
});
