import { describe, expect, test } from "bun:test";
import { BugReporter } from "../../../../src/proxy/record/bug-reporter.ts";

function createReporter() {
  const clock = { now: 0 };
  const messages: string[] = [];
  const reporter = new BugReporter({
    tell: (message) => messages.push(message),
    secrets: ["hunter2"],
    now: () => clock.now,
  });
  return { clock, messages, reporter };
}

/** An error as if it was made at a line of a file. */
function makeError(message: string, line: number): Error {
  const error = new TypeError(message);
  error.stack = `TypeError: ${message}\n    at f (/src/a.ts:${line}:1)\n    at g (/src/b.ts:9:9)`;
  return error;
}

describe("BugReporter", () => {
  test("tells what it ended, what was thrown and where, in one line and without secrets", () => {
    const { messages, reporter } = createReporter();
    reporter.report("A mistake ended connection k-1", makeError("no \u2028hunter2", 7));
    expect(messages).toEqual(["A mistake ended connection k-1: TypeError: no \\u2028[redacted] (at /src/a.ts:7:1)."]);
  });

  test("tells of the same place once in a while, with how often it happened", () => {
    const { clock, messages, reporter } = createReporter();
    for (let count = 0; count < 1000; count += 1) reporter.report(`${count}`, makeError(`${count}`, 7));
    reporter.report("other", makeError("other", 8));
    expect(messages).toHaveLength(2);
    clock.now = 10_000;
    reporter.report("again", makeError("again", 7));
    expect(messages.at(-1)).toBe("again: TypeError: again (at /src/a.ts:7:1). The same happened 999 times before.");
  });

  test("is not flooded by mistakes at ever other slots, and says how many it left out", () => {
    const { clock, messages, reporter } = createReporter();
    for (let line = 0; line < 1000; line += 1) reporter.report("x", makeError("x", line));
    expect(messages).toHaveLength(64);
    clock.now = 10_000;
    reporter.report("x", makeError("x", 5000));
    expect(messages.at(-1)).toEndWith(" 936 messages about other things were left out.");
  });

  test("does not throw, whatever it is given", () => {
    const { messages, reporter } = createReporter();
    const hostile = new Error("x");
    Object.defineProperty(hostile, "stack", {
      get() {
        throw new Error("again");
      },
    });
    for (const thrown of [undefined, null, 1, Symbol("s"), {}, Object.create(null), hostile])
      reporter.report("x", thrown);
    expect(messages.length).toBeGreaterThan(3);
  });
});
