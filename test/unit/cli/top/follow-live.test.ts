import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { followLive } from "../../../../src/cli/top/follow-live.ts";
import { SILENCE_MS } from "../../../../src/cli/top/silence.ts";
import { holdFetch, openEvents, settle } from "./held-fetch.ts";

const RETRY_MS = 1000;
const SILENT = "The sidecar went silent. Trying again.";
const state = { v: 1, step: 1, point: null, total: 0, rows: [] };
const tick = { step: 2, points: [], total: 0, add: [], move: [], gone: [] };

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

function follow() {
  const leaving = new AbortController();
  const heard: string[] = [];
  const url = new URL("http://sidecar.test/live");
  const listener = {
    state: () => void heard.push("state"),
    tick: () => void heard.push("tick"),
    trouble: (why: string) => void heard.push(why),
  };
  const end = followLive({ url, unix: undefined, token: "t" }, url, listener, leaving.signal);
  return { heard, end, leave: () => leaving.abort() };
}

async function pass(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await settle();
}

test("a stream on which nothing comes is given up, and asked for again", async () => {
  using held = holdFetch();
  const { heard, end, leave } = follow();
  const [first] = held.requests;
  if (first === undefined) throw new Error("There is no request.");
  const tell = openEvents(first);
  tell("state", state);
  await settle();
  await pass(SILENCE_MS - 1);
  tell("tick", tick);
  await settle();
  await pass(SILENCE_MS - 1);
  expect(heard).toEqual(["state", "tick"]);
  await pass(1);
  expect(heard).toEqual(["state", "tick", SILENT]);
  expect([first.signal.aborted, held.requests.length]).toEqual([true, 1]);
  await pass(RETRY_MS);
  expect(held.open()).toEqual(["/live"]);
  leave();
  expect(await end).toBeUndefined();
});

test("a request that nobody answers is given up, and asked again", async () => {
  using held = holdFetch();
  const { heard, end, leave } = follow();
  await pass(SILENCE_MS);
  expect(heard).toEqual([SILENT]);
  await pass(RETRY_MS);
  expect(held.requests.length).toBe(2);
  leave();
  expect(await end).toBeUndefined();
});

test("an event of another form is final, and nothing waits any more", async () => {
  using held = holdFetch();
  const { heard, end } = follow();
  held.requests[0]?.answer(new Response("event: tick\ndata: {}\n\n"));
  expect(await end).toContain("in another form");
  expect(held.requests[0]?.signal.aborted).toBe(true);
  await pass(SILENCE_MS);
  expect([heard, held.requests.length]).toEqual([[], 1]);
});
