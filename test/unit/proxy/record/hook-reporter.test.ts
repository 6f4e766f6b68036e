import { describe, expect, test } from "bun:test";
import { HookReporter } from "../../../../src/proxy/record/hook-reporter.ts";

function createReporter() {
  const clock = { now: 0 };
  const messages: string[] = [];
  const reporter = new HookReporter((message) => messages.push(message), {
    now: () => clock.now,
    secrets: ["hunter2"],
  });
  return { clock, messages, reporter };
}

const threw = { why: "threw", thrown: () => "Error: no (at /a.ts:1:2)" };

describe("HookReporter", () => {
  test("tells which function failed, how, and what came of it", () => {
    const { messages, reporter } = createReporter();
    reporter.report({ hook: "function of rule lab", fault: threw });
    reporter.report({ hook: "users function", fault: { why: "did not answer in 5000 ms" } });
    expect(messages).toEqual([
      "The function of rule lab threw Error: no (at /a.ts:1:2), so the connection is refused.",
      "The users function did not answer in 5000 ms, so the connection is refused.",
    ]);
  });

  test("tells of the same function again only after a while, with how often it failed meanwhile", () => {
    const { clock, messages, reporter } = createReporter();
    for (let count = 0; count < 1000; count += 1) reporter.report({ hook: "function of rule lab", fault: threw });
    reporter.report({ hook: "function of rule other", fault: threw });
    expect(messages).toHaveLength(2);
    clock.now = 10_000;
    reporter.report({ hook: "function of rule lab", fault: threw });
    reporter.report({ hook: "function of rule other", fault: threw });
    expect(messages.slice(2)).toEqual([
      "The function of rule lab threw Error: no (at /a.ts:1:2), so the connection is refused. So did 999 calls before it.",
      "The function of rule other threw Error: no (at /a.ts:1:2), so the connection is refused.",
    ]);
  });

  test("escapes and cuts names", () => {
    const { messages, reporter } = createReporter();
    reporter.report({ hook: `function of rule \x1b${"x".repeat(500)}`, fault: { why: "threw" } });
    expect(messages[0]).toStartWith("The function of rule \\u001bxxx");
    expect(messages[0]?.length).toBeLessThan(200);
  });

  test("says nothing of the secrets of the configuration", () => {
    const { messages, reporter } = createReporter();
    const thrown = (secrets: readonly string[]) => `Error: without ${secrets.join()}`;
    reporter.report({ hook: "users function", fault: { why: "threw", thrown } });
    expect(messages[0]).toContain("threw Error: without hunter2, so");
  });
});
