import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { ScreenListeners } from "../../../../src/cli/process-screen.ts";
import { LiveModel } from "../../../../src/cli/top/live-model.ts";
import { SILENCE_MS } from "../../../../src/cli/top/silence.ts";
import { TopScreen } from "../../../../src/cli/top/top-screen.ts";
import { TopView } from "../../../../src/cli/top/top-view.ts";
import { fakeStatus, makeRow } from "../../../support/fake-sidecar.ts";
import { holdFetch, openEvents, settle } from "./held-fetch.ts";

const STATUS_MS = 5000;
const state = { v: 1, step: 1, point: null, total: 2, rows: [makeRow("a"), makeRow("b")] };
const tick = { step: 2, points: [], total: 2, add: [], move: [], gone: [] };

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

/** A screen that follows `/live`, where two rows are. */
async function startScreen() {
  const held = holdFetch();
  const leaving = new AbortController();
  const view = new TopView();
  const model = new LiveModel();
  let listeners: ScreenListeners | undefined;
  const url = new URL("http://sidecar.test/live");
  const screen = TopScreen.open({
    access: { url, unix: undefined, token: "t" },
    url,
    model,
    view,
    io: {
      terminal: true,
      variables: {},
      openScreen: (given) => {
        listeners = given;
        return { size: () => ({ columns: 80, rows: 24 }), write: () => true, suspend: () => {}, close: () => {} };
      },
    },
    leave: () => leaving.abort(),
    leaving: leaving.signal,
  });
  const end = screen?.run();
  const [live] = held.requests;
  if (live === undefined) throw new Error("There is no request.");
  const tell = openEvents(live);
  tell("state", state);
  await settle();
  return {
    held,
    view,
    model,
    end,
    tell: async (event: "state" | "tick", data: object) => {
      tell(event, data);
      await settle();
    },
    type: (text: string) => listeners?.typed(text),
    pass: async (ms: number) => {
      jest.advanceTimersByTime(ms);
      await settle();
    },
    /** Answers the request that came last. */
    answer: async (response: Response) => {
      held.requests.at(-1)?.answer(response);
      await settle();
    },
    asked: (path: string) => held.requests.filter((each) => each.path === path).length,
    [Symbol.asyncDispose]: async () => {
      leaving.abort();
      await end?.catch(() => {});
      screen?.[Symbol.dispose]();
      held[Symbol.dispose]();
    },
  };
}

const details = (id: string) => Response.json({ ...makeRow(id), stages: [], handshake: { messages: [] } });

test("asks for the status one time at once, and gives up what nobody answers", async () => {
  await using top = await startScreen();
  await top.pass(STATUS_MS);
  await top.tell("tick", tick);
  await top.pass(STATUS_MS);
  await top.tell("tick", tick);
  expect([top.asked("/status"), top.view.message]).toEqual([1, undefined]);
  await top.pass(SILENCE_MS - STATUS_MS);
  expect(top.view.message).toEqual({ text: "No /status: The sidecar went silent.", isTrouble: true });
  await top.pass(STATUS_MS);
  expect(top.asked("/status")).toBe(2);
});

test("tells a status that fails as trouble until the next one comes", async () => {
  await using top = await startScreen();
  await top.pass(STATUS_MS);
  await top.answer(Response.json({ detail: "Too busy." }, { status: 503 }));
  expect(top.view.message).toEqual({ text: "No /status: The sidecar refused (503): Too busy.", isTrouble: true });
  await top.pass(STATUS_MS);
  await top.answer(Response.json({ ...fakeStatus, version: "9.9.9" }));
  expect([top.view.message, top.view.status?.version]).toEqual([undefined, "9.9.9"]);
});

test("leaves what else is told when a status comes", async () => {
  await using top = await startScreen();
  top.type("kn");
  await top.pass(STATUS_MS);
  await top.answer(Response.json(fakeStatus));
  expect(top.view.message?.text).toBe("Nothing was ended.");
});

test("asks for details one time at once, whatever the ticks", async () => {
  await using top = await startScreen();
  top.type("\r");
  for (let second = 0; second < 3; second += 1) await top.tell("tick", tick);
  expect(top.asked("/tunnels/a")).toBe(1);
  await top.answer(details("a"));
  expect(top.view.over).toMatchObject({ id: "a", found: { id: "a" } });
  await top.tell("tick", tick);
  expect(top.asked("/tunnels/a")).toBe(2);
});

test("waits no more for the details of a row when another is opened", async () => {
  await using top = await startScreen();
  top.type("\r");
  top.type("x\u001b[B\r");
  await settle();
  expect(top.held.open()).toEqual(["/tunnels/b"]);
  expect(top.view.over).toEqual({ kind: "details", id: "b", found: undefined });
  await top.answer(details("b"));
  expect(top.view.over).toMatchObject({ id: "b", found: { id: "b" } });
});

test("asks nothing more when it cannot follow any more", async () => {
  await using top = await startScreen();
  await top.tell("tick", { step: "of another version" });
  expect(await top.end).toContain("in another form");
  await top.pass(STATUS_MS * 2);
  expect(top.asked("/status")).toBe(0);
});

test("asks nothing more after a bug", async () => {
  await using top = await startScreen();
  top.model.takeTick = () => {
    throw new Error("A bug.");
  };
  const failed = top.end?.catch(String);
  await top.tell("tick", tick);
  expect(await failed).toBe("Error: A bug.");
  await top.pass(STATUS_MS * 2);
  expect(top.asked("/status")).toBe(0);
});
