import { describe, expect, test } from "bun:test";
import { type Reaction, Silence } from "../../../../src/proxy/upstream/silence.ts";

describe("the silence of a member", () => {
  test("is worth another request after the time in which nearly all responses begin", () => {
    const silence = new Silence();
    expect(silence.delayMs).toBe(1000);
    for (let at = 0; at < 128; at++) silence.answered(at === 50 ? 30_000 : 400, at);
    expect(silence.delayMs).toBe(400);
    for (let at = 0; at < 128; at++) silence.answered(3, at);
    expect(silence.delayMs).toBe(250);
    for (let at = 0; at < 128; at++) silence.tookLonger(30_000, at);
    expect(silence.delayMs).toBe(2000);
  });

  test("lets one request in ten be sent twice, and some more in a burst", () => {
    const silence = new Silence();
    const takeAll = (): number => {
      let taken = 0;
      for (; silence.hasSpare(0); taken++) silence.takeSpare();
      return taken;
    };
    expect(takeAll()).toBe(50);
    for (let at = 0; at < 105; at++) silence.answered(1, at);
    expect(takeAll()).toBe(10);
    for (let at = 0; at < 10_000; at++) silence.answered(1, at);
    expect(takeAll()).toBe(50);
  });

  test("lets any request be sent twice while a ping is not answered, and after that was for a reason", async () => {
    const silence = new Silence();
    const reaction = Promise.withResolvers<Reaction>();
    while (silence.hasSpare(0)) silence.takeSpare();
    const ping = silence.ping(
      "presence",
      () => reaction.promise,
      () => 0,
    );
    expect([silence.hasSpare(249), silence.hasSpare(250)]).toEqual([false, true]);
    silence.takeSpare();
    reaction.resolve({ kind: "silent" });
    await ping;
    expect(silence.hasSpare(249)).toBe(true);
  });

  test("is doubtful when nobody was answered, and is pinged once a second at most", async () => {
    let now = 10_000;
    const silence = new Silence();
    const reactions: PromiseWithResolvers<Reaction>[] = [];
    const ping = (question = "presence"): Promise<Reaction> =>
      silence.ping(
        question,
        () => {
          const reaction = Promise.withResolvers<Reaction>();
          reactions.push(reaction);
          return reaction.promise;
        },
        () => now,
      );
    silence.heard(now);
    expect(silence.isDoubtful(250, now + 249)).toBe(false);
    now += 250;
    expect(silence.isDoubtful(250, now)).toBe(true);
    const [one, other] = [ping(), ping()];
    expect(reactions).toHaveLength(1);
    expect(silence.isDoubtful(250, now)).toBe(true);
    reactions[0]?.resolve({ kind: "silent" });
    expect([await one, await other]).toEqual([{ kind: "silent" }, { kind: "silent" }]);
    now += 999;
    expect(await ping()).toEqual({ kind: "silent" });
    expect(reactions).toHaveLength(1);
    now += 1;
    const answered = ping();
    void ping("login");
    expect(reactions).toHaveLength(3);
    reactions[1]?.resolve({ kind: "answered" });
    await answered;
    expect(silence.isDoubtful(250, now + 249)).toBe(false);
    reactions[2]?.resolve({ kind: "unknown" });
  });
});
