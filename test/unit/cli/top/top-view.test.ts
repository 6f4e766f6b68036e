import { describe, expect, test } from "bun:test";
import { createPaint } from "../../../../src/cli/style.ts";
import { countRoom, drawTop } from "../../../../src/cli/top/draw-top.ts";
import { KeyReader } from "../../../../src/cli/top/keys.ts";
import { LiveModel } from "../../../../src/cli/top/live-model.ts";
import { TopView, type Wish } from "../../../../src/cli/top/top-view.ts";
import { hostileTexts } from "../../../fixtures/hostile-texts.ts";
import { fakeStatus, makeRow } from "../../../support/fake-sidecar.ts";
import { TerminalEmulator } from "../../../support/terminal-emulator.ts";

function makeModel(rows = [makeRow("a"), makeRow("b", { user: "bob" }), makeRow("c", { user: "carol" })]): LiveModel {
  const model = new LiveModel();
  model.takeState({ v: 1, step: 1, point: null, total: rows.length, rows }, 100_000);
  return model;
}

/** A second in which nothing happened. */
const point = {
  at: 0,
  up: 0,
  down: 0,
  connects: 0,
  requests: 0,
  refused: 0,
  connections: 0,
  tunnels: 3,
  dial_p50_ms: null,
  dial_p99_ms: null,
};

/** Types into a view, and gives what the last key asked for. */
function type(view: TopView, model: LiveModel, text: string): Wish | undefined {
  const reader = new KeyReader();
  let wish: Wish | undefined;
  for (const key of [...reader.read(text), ...reader.flush()]) {
    wish = view.press(key);
    view.arrange(model, 10);
  }
  return wish;
}

function makeView(model: LiveModel): TopView {
  const view = new TopView();
  view.arrange(model, 10);
  return view;
}

const ids = (view: TopView): string[] => view.rows.map(({ id }) => id);

describe("the table", () => {
  const rows = [
    makeRow("slow", { user: "carol", bytes_up: 9000, age_ms: 1000, target: "b.example:443" }),
    makeRow("fast", { user: "alice", bytes_up: 1, age_ms: 3000, target: "c.example:443", route: "corp" }),
    makeRow("mid", {
      user: "bob",
      bytes_up: 500,
      age_ms: 2000,
      target: "a.example:443",
      tls: { sni: "Inner.example" },
    }),
  ];

  function makeMoving(): LiveModel {
    const model = makeModel(rows);
    const move: [string, number, number][] = [
      ["fast", 100_001, 2000],
      ["mid", 600, 2000],
    ];
    model.takeTick({ step: 2, points: [point], total: 3, add: [], move, gone: [] }, 100_000);
    return model;
  }

  test.each([
    ["", ["fast", "mid", "slow"]],
    ["r", ["slow", "mid", "fast"]],
    ["s", ["fast", "slow", "mid"]],
    ["ss", ["fast", "mid", "slow"]],
    ["sss", ["fast", "mid", "slow"]],
    ["ssss", ["mid", "slow", "fast"]],
    ["S", ["fast", "mid", "slow"]],
    ["<<", ["mid", "slow", "fast"]],
    ["/corp\r", ["fast"]],
    ["/user:b\r", ["mid"]],
    ["/INNER\r", ["mid"]],
    ["/sni:inner user:alice\r", []],
    ["/target:a.ex\u007f\u007f\u007f\u007f\u007f\u0015corp\r", ["fast"]],
    ["/corp\r\u001b", ["fast", "mid", "slow"]],
    ["/corp\u001b", ["fast", "mid", "slow"]],
    ["/constructor:x\r", []],
  ])("after %j has the rows %j", (keys, expected) => {
    const model = makeMoving();
    const view = makeView(model);
    type(view, model, keys);
    expect(ids(view)).toEqual(expected);
  });

  test("keeps the chosen row through every order, and goes to its place when it is over", () => {
    const model = makeMoving();
    const view = makeView(model);
    expect(view.chosen?.id).toBe("fast");
    type(view, model, "\u001b[B");
    expect(view.chosen?.id).toBe("mid");
    type(view, model, "r");
    expect(view.chosen?.id).toBe("mid");
    const tick = { step: 3, points: [], total: 2, add: [], move: [], gone: ["mid"] };
    model.takeTick(tick, 100_000);
    view.arrange(model, 10);
    expect(view.chosen?.id).toBe("fast");
    type(view, model, "\u001b[H\u001b[F\u001b[A\u001b[A\u001b[A");
    expect(view.chosenAt).toBe(0);
  });

  test("rests while it is paused", () => {
    const model = makeMoving();
    const view = makeView(model);
    type(view, model, "p");
    model.takeTick({ step: 3, points: [], total: 2, add: [], move: [], gone: ["mid"] }, 100_000);
    view.arrange(model, 10);
    expect(ids(view)).toEqual(["fast", "mid", "slow"]);
    type(view, model, " ");
    expect(ids(view)).toEqual(["fast", "slow"]);
  });

  test("scrolls so that the chosen row is on the screen", () => {
    const model = makeModel(Array.from({ length: 100 }, (_, at) => makeRow(`r${at}`)));
    const view = makeView(model);
    type(view, model, "\u001b[F");
    expect([view.first, view.chosenAt]).toEqual([90, 99]);
    type(view, model, "\u001b[5~");
    expect([view.first, view.chosenAt]).toEqual([89, 89]);
    view.arrange(model, 200);
    expect(view.first).toBe(0);
  });
});

describe("ending", () => {
  test("asks first, names what would end, and does it only for y", () => {
    const model = makeModel();
    const view = makeView(model);
    expect(type(view, model, "k")).toBeUndefined();
    expect(view.question?.text).toBe("End a of alice to example.org:443?");
    for (const other of ["n", "q", "\r", "\u001b"]) {
      expect(type(view, model, other)).toBeUndefined();
      expect(view.question).toBeUndefined();
      expect(view.message?.text).toBe("Nothing was ended.");
      type(view, model, "k");
    }
    expect(type(view, model, "y")).toEqual({ kind: "end", ids: ["a"] });
  });

  test("is about the row that was chosen when the question was asked", () => {
    const model = makeModel();
    const view = makeView(model);
    type(view, model, "k");
    model.takeTick({ step: 3, points: [], total: 2, add: [], move: [], gone: ["a"] }, 100_000);
    view.arrange(model, 10);
    expect(type(view, model, "Y")).toEqual({ kind: "end", ids: ["a"] });
  });

  test("is in the details about the row that they show, wherever it is by now", () => {
    const model = makeModel();
    const view = makeView(model);
    expect(type(view, model, "\r")).toEqual({ kind: "details", id: "a" });
    model.takeTick({ step: 2, points: [point], total: 3, add: [], move: [["c", 9000, 2000]], gone: [] }, 100_000);
    view.arrange(model, 10);
    expect(ids(view)).toEqual(["c", "a", "b"]);
    expect(view.chosen?.id).toBe("a");
    type(view, model, "k");
    expect(view.question?.text).toBe("End a of alice to example.org:443?");
    expect(type(view, model, "y")).toEqual({ kind: "end", ids: ["a"] });
  });

  test("is in the details about no other row when theirs is over", () => {
    const model = makeModel();
    const view = makeView(model);
    type(view, model, "\r");
    model.takeTick({ step: 2, points: [], total: 2, add: [], move: [], gone: ["a"] }, 100_000);
    view.arrange(model, 10);
    expect(type(view, model, "k")).toBeUndefined();
    expect([view.over, view.question]).toEqual([undefined, undefined]);
    expect(view.message).toEqual({ text: "a is over.", isTrouble: false });
    expect(type(view, model, "y")).toBeUndefined();
  });

  test("can be for all of a user, or all that the filter shows", () => {
    const model = makeModel([makeRow("a"), makeRow("b"), makeRow("c", { user: "bob" })]);
    const view = makeView(model);
    type(view, model, "K");
    expect(view.question?.text).toBe("End all 2 of alice?");
    expect(type(view, model, "y")).toEqual({ kind: "end", ids: ["a", "b"] });
    type(view, model, "A");
    expect(view.question?.text).toBe("End all 3 rows of the table?");
    type(view, model, "n/bob\rA");
    expect(view.question).toMatchObject({ text: "End c of bob to example.org:443?", ids: ["c"] });
    expect(type(makeView(makeModel([])), makeModel([]), "k")).toBeUndefined();
  });

  test("is no key while a filter is written", () => {
    const model = makeModel();
    const view = makeView(model);
    expect(type(view, model, "/kAq")).toBeUndefined();
    expect([view.filter, view.question]).toEqual(["kAq", undefined]);
    expect(type(view, model, "\u0003")).toEqual({ kind: "quit" });
  });
});

describe("the picture", () => {
  const hostile = hostileTexts.map((text, at) =>
    makeRow(`h${at}`, { user: text, target: text, route: text, tls: { sni: text } }),
  );
  const wide = [
    makeRow("w", { user: "日本語日本語日本語", target: "한국어.example:443" }),
    makeRow("f", { user: "🇩🇪👩‍👧" }),
  ];

  function draw(
    view: TopView,
    model: LiveModel,
    columns: number,
    rows: number,
    colours: "all" | "none" = "all",
  ): string[] {
    view.arrange(model, countRoom(rows));
    const time = new Date("2026-11-28T12:00:00Z");
    return drawTop({ model, view, columns, rows, now: 100_000, time, paint: createPaint(colours) });
  }

  test.each([20, 40, 79, 80, 81, 110, 140, 170, 300])(
    "fits into %d columns, whatever names have in them",
    (columns) => {
      const model = makeModel([...hostile, ...wide]);
      for (const rows of [3, 10, 24, 60]) {
        const view = makeView(model);
        view.status = { ...fakeStatus, warnings: [...hostileTexts] };
        for (const keys of ["", "k", "n/\u65e5", "\r?", "xp"]) {
          type(view, model, keys);
          const lines = draw(view, model, columns, rows);
          expect(lines.length).toBe(rows);
          const screen = new TerminalEmulator(columns, rows);
          screen.write("\u001b[?7l");
          for (const [at, line] of lines.entries()) screen.write(`\u001b[${at + 1};1H${line}`);
          expect(screen.unknown).toEqual([]);
        }
      }
    },
  );

  test("has its columns below their titles, also beside wide characters", () => {
    const model = makeModel(wide);
    const view = makeView(model);
    const screen = new TerminalEmulator(80, 12);
    for (const [at, line] of draw(view, model, 80, 12).entries()) screen.write(`\u001b[${at + 1};1H${line}`);
    const cells = screen.cells.map((line) => line.map(({ text }) => text));
    const start = cells[5]?.join("").indexOf("TARGET") ?? -1;
    expect(cells[6]?.slice(start).join("")).toStartWith("example.org:443");
    expect(cells[7]?.slice(start).join("")).toStartWith("한국어.example:443");
  });

  test("has no colours when none are wanted, and shows the chosen row all the same", () => {
    const model = makeModel();
    const view = makeView(model);
    view.status = { ...fakeStatus, ready: false, warnings: ["Look here."] };
    const lines = draw(view, model, 80, 24, "none").join("\n");
    expect(lines).not.toMatch(/\[(?:\d+;)*3\d/);
    expect(lines).toContain("\u001b[7m");
    expect(draw(view, model, 80, 24).join("\n")).toMatch(/\[31m/);
  });
});
