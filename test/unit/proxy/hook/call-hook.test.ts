import { describe, expect, test } from "bun:test";
import { blame, callHook } from "../../../../src/proxy/hook/call-hook.ts";

describe("callHook()", () => {
  test("gives what the function answers, sooner or later", async () => {
    expect(await callHook(() => 1, 1000)).toEqual({ ok: true, answer: 1 });
    expect(await callHook(async () => undefined, 1000)).toEqual({ ok: true, answer: undefined });
  });

  test("tells what it threw, without what it must not repeat", async () => {
    const throwing = () => {
      throw new TypeError("the password hunter2 is bad");
    };
    for (const call of [throwing, async () => throwing()]) {
      const answer = await callHook(call, 1000, ["hunter2"]);
      expect(answer).toMatchObject({ ok: false, fault: { why: "threw" } });
      const thrown = answer.ok ? undefined : answer.fault.thrown?.([]);
      expect(thrown).toStartWith("TypeError: the password [redacted] is bad");
    }
  });

  test("waits no longer than it is told to, and ignores what comes late", async () => {
    const { promise, reject } = Promise.withResolvers<never>();
    expect(await callHook(() => promise, 1)).toEqual({ ok: false, fault: { why: "did not answer in 1 ms" } });
    reject(new Error("late"));
  });

  test("takes no answer of a function that blocked past its time, which no timer could tell", async () => {
    const clock = { now: 0 };
    const block = (ms: number) => {
      clock.now += ms;
      return true;
    };
    const late = blame("did not answer in 100 ms");
    const ask = (call: () => unknown) => callHook(call, 100, [], () => clock.now);
    expect(await ask(() => block(101))).toEqual(late);
    expect(await ask(async () => block(101))).toEqual(late);
    expect(await ask(() => Promise.resolve().then(() => block(5000)))).toEqual(late);
    const throwing = () => {
      block(101);
      throw new Error("late, too");
    };
    expect(await ask(throwing)).toEqual(late);
    expect(await ask(() => block(100))).toEqual({ ok: true, answer: true });
  });
});
