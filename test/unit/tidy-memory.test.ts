import { afterEach, beforeEach, expect, jest, spyOn, test } from "bun:test";
import { tidyMemory } from "../../src/tidy-memory.ts";

let collected = 0;
const gc = spyOn(Bun, "gc");

beforeEach(() => {
  collected = 0;
  gc.mockImplementation(() => {
    collected += 1;
    return 0;
  });
  jest.useFakeTimers();
});

afterEach(() => {
  gc.mockRestore();
  jest.useRealTimers();
});

test("tidyMemory() collects once after many connections came, and once after they ended", () => {
  let [accepted, ended] = [0, 0];
  const stop = tidyMemory(() => ({ accepted, ended }));
  accepted = 1500;
  jest.advanceTimersByTime(500);
  accepted = 3000;
  jest.advanceTimersByTime(500);
  expect(collected).toBe(0);
  jest.advanceTimersByTime(500);
  expect(collected).toBe(1);
  jest.advanceTimersByTime(5000);
  expect(collected).toBe(1);
  ended = 2000;
  jest.advanceTimersByTime(5000);
  expect(collected).toBe(1);
  jest.advanceTimersByTime(500);
  expect(collected).toBe(2);
  jest.advanceTimersByTime(5000);
  expect(collected).toBe(2);
  stop();
});

test("tidyMemory() does not care for a few connections, and nothing happens after it was stopped", () => {
  let accepted = 999;
  const stop = tidyMemory(() => ({ accepted, ended: accepted }));
  jest.advanceTimersByTime(6000);
  expect(collected).toBe(0);
  accepted = 5000;
  stop();
  jest.advanceTimersByTime(12_000);
  expect(collected).toBe(0);
});

test("tidyMemory() looks seldom at an idle proxy", () => {
  let looks = 0;
  const stop = tidyMemory(() => {
    looks += 1;
    return { accepted: 0, ended: 0 };
  });
  jest.advanceTimersByTime(60_000);
  expect(looks).toBeLessThan(15);
  stop();
});
