import { describe, expect, test } from "bun:test";
import { FollowedAnswer } from "../../../../src/sidecar/page/ui/followed-answer.ts";
import type { Answer } from "../../../../src/sidecar/page/ui/session.ts";
import { waitFor } from "../../../support/wait-for.ts";

/** An answer, and the questions for it that wait. */
function makeFollowed(everyMs = 3_600_000) {
  const questions: { readonly signal: AbortSignal; answer(answer: Answer<string>): void }[] = [];
  const looker = { isHidden: false, forgotten: 0 };
  const followed = new FollowedAnswer<string>({
    everyMs,
    isHidden: () => looker.isHidden,
    forget: () => (looker.forgotten += 1),
    ask: (signal) => new Promise((resolve) => questions.push({ signal, answer: resolve })),
  });
  return { followed, questions, looker };
}

const good = (value: string): Answer<string> => ({ ok: true, value });

describe("an answer that parts of the page follow", () => {
  test("is asked for once, however many follow it and however often somebody looks meanwhile", async () => {
    const { followed, questions } = makeFollowed();
    const seen: (string | undefined)[] = [];
    const leaves = [1, 2].map(() => followed.follow(() => seen.push(followed.state.value)));
    followed.look();
    followed.look();
    expect(questions).toHaveLength(1);
    questions[0]?.answer(good("one"));
    await waitFor(() => seen.length === 2, "both");
    expect(seen).toEqual(["one", "one"]);
    followed.look();
    expect(questions).toHaveLength(2);
    for (const leave of leaves) leave();
  });

  test("is asked for again after its pause, one question at a time", async () => {
    const { followed, questions } = makeFollowed(1);
    const leave = followed.follow(() => {});
    for (const number of [1, 2, 3]) {
      await waitFor(() => questions.length === number, `question ${number}`);
      // A look between two questions does not begin a second row of them.
      followed.look();
      questions[number - 1]?.answer(good(String(number)));
    }
    await waitFor(() => questions.length === 4, "question 4");
    followed.look();
    expect(questions).toHaveLength(4);
    leave();
  });

  test("keeps its value beside the problem of the last question", async () => {
    const { followed, questions } = makeFollowed();
    const leave = followed.follow(() => {});
    questions[0]?.answer(good("old"));
    await waitFor(() => followed.state.value === "old", "the value");
    followed.look();
    questions[1]?.answer({ ok: false, status: 0, message: "The sidecar does not answer.", retryAfter: undefined });
    await waitFor(() => followed.state.problem !== undefined, "the problem");
    expect(followed.state).toEqual({ value: "old", problem: "The sidecar does not answer." });
    leave();
  });

  test("is not asked for while nobody looks, and is forgotten when nobody follows it", async () => {
    const { followed, questions, looker } = makeFollowed();
    looker.isHidden = true;
    const leave = followed.follow(() => {});
    expect(questions).toHaveLength(0);
    looker.isHidden = false;
    followed.look();
    expect(questions).toHaveLength(1);
    leave();
    expect(questions[0]?.signal.aborted).toBe(true);
    expect(looker.forgotten).toBe(1);
    questions[0]?.answer(good("late"));
    await new Promise<void>((resolve) => void setImmediate(resolve));
    expect(followed.state.value).toBeUndefined();
    followed.look();
    expect(questions).toHaveLength(1);
  });
});
